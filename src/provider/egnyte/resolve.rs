//! Finds a folder by its path, which Egnyte looks up in one call, or by its id.

use super::api::Api;
use super::names;
use super::wire::Object;
use crate::id::ItemId;
use crate::provider::{ProviderError, ProviderErrorKind, Resolved, Result};

/// Names that are offered in place of one that is not there.
const MAX_INSTEAD: usize = 20;

/// Looks a path up; where nothing is, says how far it leads.
pub async fn path(api: &Api, path: &str) -> Result<Resolved> {
    match api.look_at(path).await {
        Ok(found) => return resolved(api, &found).await,
        Err(error) if is_absent(&error) => {}
        Err(error) => return Err(error),
    }
    let mut above = names::above(path);
    loop {
        match api.list_at(above).await {
            Ok(found) => {
                return Ok(match resolved(api, &found).await? {
                    Resolved::Folder(folder) => Resolved::Missing {
                        exists: folder.path.unwrap_or_else(|| format!("/{}", above.trim_matches('/'))),
                        instead: folders_in(&found),
                    },
                    other => other,
                });
            }
            // What may not be seen is as good as not there.
            Err(error) if is_absent(&error) && !above.is_empty() => above = names::above(above),
            Err(error) => return Err(error),
        }
    }
}

fn folders_in(found: &Object) -> Vec<String> {
    let folders = found.get("folders").and_then(serde_json::Value::as_array).into_iter().flatten();
    let mut names: Vec<String> = folders.filter_map(|folder| folder.get("name")?.as_str().map(str::to_owned)).collect();
    names.sort();
    names.truncate(MAX_INSTEAD);
    names
}

async fn resolved(api: &Api, found: &Object) -> Result<Resolved> {
    let item = api.item(found).await?;
    Ok(if item.id.is_folder() {
        Resolved::Folder(item)
    } else {
        Resolved::NotAFolder { path: item.path.unwrap_or(item.name) }
    })
}

fn is_absent(error: &ProviderError) -> bool {
    matches!(error.kind, ProviderErrorKind::NotFound | ProviderErrorKind::Forbidden)
}

/// Looks an id up; one that belongs to a file is told apart from one that is not there.
pub async fn id(api: &Api, id: &str) -> Result<Resolved> {
    for id in [ItemId::folder(id), ItemId::file(id)] {
        match api.look(&id).await {
            Ok(found) => return resolved(api, &found).await,
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Resolved::Missing { exists: "/".to_owned(), instead: Vec::new() })
}
