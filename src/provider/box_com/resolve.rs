//! Finds a folder by its path, name by name, or by its id.

use std::collections::BTreeSet;

use super::api::root;
use crate::id::ItemId;
use crate::provider::{Provider, ProviderError, ProviderErrorKind, Resolved, Result};
use crate::tree::{Ancestor, ItemState, RemoteItem};

/// Names that are offered in place of one that is not there.
const MAX_INSTEAD: usize = 20;
/// Pages of one folder that are read in search of a name: ten million entries.
const MAX_PAGES: usize = 10_000;

/// Walks down from the top folder.
pub async fn path(provider: &impl Provider, path: &str) -> Result<Resolved> {
    let mut here = top(provider).await?;
    let mut walked = String::new();
    for name in path.split('/').filter(|name| !name.is_empty()) {
        match find(provider, &here, name).await? {
            Found::Item(item) if item.id.is_folder() => {
                walked.push('/');
                walked.push_str(&item.name);
                here = *item;
            }
            Found::Item(item) => return Ok(Resolved::NotAFolder { path: format!("{walked}/{}", item.name) }),
            Found::Nothing { instead } => {
                let exists = if walked.is_empty() { "/".to_owned() } else { walked };
                return Ok(Resolved::Missing { exists, instead });
            }
        }
    }
    Ok(Resolved::Folder(here))
}

/// Looks an id up; one that belongs to a file is told apart from one that is not there.
pub async fn id(provider: &impl Provider, id: &str) -> Result<Resolved> {
    if let ItemState::Active(folder) = provider.item(&ItemId::folder(id)).await? {
        return Ok(Resolved::Folder(*folder));
    }
    Ok(match provider.item(&ItemId::file(id)).await? {
        ItemState::Active(file) => Resolved::NotAFolder { path: file.name },
        ItemState::Trashed | ItemState::NotFound => Resolved::Missing { exists: "/".to_owned(), instead: Vec::new() },
    })
}

async fn top(provider: &impl Provider) -> Result<RemoteItem> {
    match provider.item(&root()).await? {
        ItemState::Active(folder) => Ok(*folder),
        ItemState::Trashed | ItemState::NotFound => {
            Err(ProviderError::new(ProviderErrorKind::Malformed, "the account has no top folder"))
        }
    }
}

enum Found {
    Item(Box<RemoteItem>),
    Nothing { instead: Vec<String> },
}

/// The entry of that name: the very name first, else the one that differs in case only, which Box holds for the same.
async fn find(provider: &impl Provider, folder: &RemoteItem, name: &str) -> Result<Found> {
    let lower_name = name.to_lowercase();
    let mut alike = None;
    let mut instead = BTreeSet::new();
    let mut page = None;
    for _ in 0..MAX_PAGES {
        let listed = provider.list(&folder.id, page.as_ref()).await?;
        for item in listed.items {
            if item.name == name {
                return Ok(Found::Item(below(folder, item)));
            }
            if alike.is_none() && item.name.to_lowercase() == lower_name {
                alike = Some(item);
            } else if item.id.is_folder() {
                instead.insert(item.name);
                if instead.len() > MAX_INSTEAD {
                    instead.pop_last();
                }
            }
        }
        page = listed.next;
        if page.is_none() {
            return Ok(match alike {
                Some(item) => Found::Item(below(folder, item)),
                None => Found::Nothing { instead: instead.into_iter().collect() },
            });
        }
    }
    Err(ProviderError::new(ProviderErrorKind::Malformed, "the listing does not end").with("item", &folder.id))
}

/// The item with the folders above it, which we have just walked through.
fn below(folder: &RemoteItem, mut item: RemoteItem) -> Box<RemoteItem> {
    let mut above = folder.ancestors.clone().unwrap_or_default();
    above.push(Ancestor { id: folder.id.clone(), name: folder.name.clone() });
    item.ancestors = Some(above);
    Box::new(item)
}
