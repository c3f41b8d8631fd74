//! The brakes: deletions that look like an accident wait for a person, and the person's answer.
//!
//! Each function that holds something says so in its name, and returns what people are to be told.

use std::collections::BTreeMap;

use super::ctx::{Ctx, ROWS_PER_STEP};
use crate::command::Answer;
use crate::id::{AccountId, FolderId, HoldId, NodeId};
use crate::plan::{Action, Policy, guard};
use crate::provider::Identity;
use crate::report::Degraded;
use crate::settings::{FolderSettings, MaxDelete};
use crate::store::Result;
use crate::store::folders::{FolderCounts, FolderRow};
use crate::store::holds::Hold;
use crate::store::items::ItemRow;

/// The reason of a hold on deletions.
const MASS_DELETE: &str = "mass_delete";
/// The reason of a hold on deletions that the disk asks the cloud for.
const MASS_DELETE_UP: &str = "mass_delete_in_cloud";
/// The reason of a hold on a folder whose mode was changed.
const MODE_CHANGED: &str = "mode_changed";
/// The reason of a hold on another user under the same account name.
const ACCOUNT_CHANGED: &str = "account_changed";
/// The reason of a hold on a folder whose place was changed in the configuration.
const FOLDER_MOVED: &str = "folder_moved";
/// The reason of a hold on deeds for whose displaced content the version store has no room.
pub(in crate::engine) const VERSIONS_FULL: &str = "versions_full";

/// What a step remembers for the brakes.
#[derive(Debug, Default)]
pub(in crate::engine) struct Holds {
    /// Files missing on disk, as far as this step has counted them: the brake asks for each of them.
    missing: BTreeMap<FolderId, u64>,
}

/// Whether a deletion goes on.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::engine) enum Brake {
    /// It does.
    Off,
    /// It waits for a person, who is told this if it is the first one.
    On(Option<String>),
}

/// What a person's approval brings about.
#[derive(Debug)]
pub(in crate::engine) enum Approval {
    /// It is answered.
    Answered(Answer),
    /// Held items go on, and what they hold up.
    Items(String),
    /// A folder works in its new mode.
    Mode(FolderId),
    /// An account is another person's from now on.
    Account(AccountId, Identity),
    /// A folder starts anew in its new place.
    Moved(FolderId),
}

impl Holds {
    /// A step begins: what was counted may have changed.
    pub fn begin_step(&mut self) {
        self.missing.clear();
    }

    /// More is missing on disk than was counted.
    pub fn more_missing(&mut self, id: FolderId) {
        self.missing.remove(&id);
    }

    /// Holds a file's way into the cloud's trash if it must wait for a person.
    pub fn hold_trash(
        &mut self,
        ctx: &mut Ctx,
        settings: &FolderSettings,
        counts: FolderCounts,
        item: &ItemRow,
    ) -> Result<Brake> {
        if !self.asks_before_trash(ctx, settings, counts, item.folder)? {
            return Ok(Brake::Off);
        }
        let (files, name) = (counts.files.max(0) as u64, &settings.name);
        let waiting = self.missing_files(ctx, item.folder)?;
        let text = format!(
            "{waiting} of {files} files of folder `{name}` are gone from the disk; they stay in the cloud until you approve"
        );
        let hold = ctx.store.hold(Some(item.folder), None, MASS_DELETE_UP, &text, None, ctx.now.wall)?;
        let version = item.remote.content.as_ref().map(|content| &content.version);
        ctx.store.hold_item(hold, item.node, version)?;
        ctx.store.hold_work(item.node)?;
        Ok(Brake::On(None))
    }

    /// Whether so many files of a folder are to go into the cloud's trash that a person is asked first.
    pub fn asks_before_trash(
        &mut self,
        ctx: &Ctx,
        settings: &FolderSettings,
        counts: FolderCounts,
        id: FolderId,
    ) -> Result<bool> {
        if ctx.store.open_hold(id, MASS_DELETE_UP)?.is_some() || asks_before_any_deletion(ctx, id)? {
            return Ok(true);
        }
        let waiting = self.missing_files(ctx, id)?;
        let (files, max) = (counts.files.max(0) as u64, settings.max_delete);
        let done = ctx.store.deletions(id, ctx.now.wall)?;
        let emptied = waiting >= files && files > 1 && max != MaxDelete::Off;
        Ok(emptied || guard::must_ask(max, files, done, waiting))
    }

    /// How many files of a folder are missing on disk: counted once in a step, unless more are found missing.
    fn missing_files(&mut self, ctx: &Ctx, id: FolderId) -> Result<u64> {
        if let Some(files) = self.missing.get(&id) {
            return Ok(*files);
        }
        let files = ctx.store.local_deletions(id)?;
        self.missing.insert(id, files);
        Ok(files)
    }
}

/// What a person is told of the files of a folder that are gone from the cloud.
fn gone_from_cloud(waiting: u64, files: u64, name: &str) -> String {
    format!(
        "{waiting} of {files} files of folder `{name}` are gone from the cloud; they stay on disk until you approve"
    )
}

/// Holds the removal of a file from disk if it must wait for a person.
pub(in crate::engine) fn hold_removal(
    ctx: &mut Ctx,
    settings: &FolderSettings,
    counts: FolderCounts,
    item: &ItemRow,
) -> Result<Brake> {
    let (files, waiting) = (counts.files.max(0) as u64, counts.removals.max(0) as u64);
    let open = ctx.store.open_hold(item.folder, MASS_DELETE)?;
    if open.is_none() && !asks_before_any_deletion(ctx, item.folder)? {
        let done = ctx.store.deletions(item.folder, ctx.now.wall)?;
        if !guard::must_ask(settings.max_delete, files, done, waiting) {
            return Ok(Brake::Off);
        }
    }
    let in_trees = open.map(|hold| ctx.store.files_in_held_trees(hold)).transpose()?.unwrap_or(0);
    let text = gone_from_cloud(waiting.saturating_add(in_trees), files, &settings.name);
    let hold = ctx.store.hold(Some(item.folder), None, MASS_DELETE, &text, None, ctx.now.wall)?;
    let version = item.synced.as_ref().and_then(|synced| synced.content.as_ref()).map(|content| &content.version);
    ctx.store.hold_item(hold, item.node, version)?;
    ctx.store.hold_work(item.node)?;
    Ok(Brake::On(open.is_none().then_some(text)))
}

/// Holds a directory with all that is in it, so many files of which are told to be gone by nobody else; `counts_others` if directories in it
/// are held already. What people are to be told, if it is the first one.
pub(in crate::engine) fn hold_tree(
    ctx: &mut Ctx,
    settings: &FolderSettings,
    counts: FolderCounts,
    item: &ItemRow,
    gone: u64,
    counts_others: bool,
) -> Result<Option<String>> {
    let (files, waiting) = (counts.files.max(0) as u64, counts.removals.max(0) as u64);
    let open = ctx.store.open_hold(item.folder, MASS_DELETE)?;
    let hold = ctx.store.hold(Some(item.folder), None, MASS_DELETE, "", None, ctx.now.wall)?;
    ctx.store.hold_tree(hold, item.node, gone)?;
    if counts_others {
        ctx.store.hold_with_tree(hold, item.node)?;
    }
    let waiting = waiting.saturating_add(ctx.store.files_in_held_trees(hold)?);
    let text = gone_from_cloud(waiting, files, &settings.name);
    ctx.store.hold(Some(item.folder), None, MASS_DELETE, &text, None, ctx.now.wall)?;
    ctx.store.hold_work(item.node)?;
    Ok(open.is_none().then_some(text))
}

/// The directories of a folder that are held with all that is in them.
pub(in crate::engine) fn held_trees(ctx: &Ctx, id: FolderId) -> Result<Vec<NodeId>> {
    match ctx.store.open_hold(id, MASS_DELETE)? {
        Some(hold) => ctx.store.held_trees(hold),
        None => Ok(Vec::new()),
    }
}

/// Whether a person is to be asked before so many more files of a folder go from the disk than wait to go.
pub(in crate::engine) fn asks_before(
    ctx: &Ctx,
    settings: &FolderSettings,
    counts: FolderCounts,
    id: FolderId,
    more: u64,
) -> Result<bool> {
    if ctx.store.open_hold(id, MASS_DELETE)?.is_some() || asks_before_any_deletion(ctx, id)? {
        return Ok(true);
    }
    let (files, waiting) = (counts.files.max(0) as u64, counts.removals.max(0) as u64);
    let done = ctx.store.deletions(id, ctx.now.wall)?;
    Ok(guard::must_ask(settings.max_delete, files, done, waiting.saturating_add(more)))
}

/// Whether everything that a folder would delete waits, as its account is another person's since.
pub(in crate::engine) fn asks_before_any_deletion(ctx: &Ctx, id: FolderId) -> Result<bool> {
    Ok(ctx.store.open_hold(id, ACCOUNT_CHANGED)?.is_some())
}

/// Holds a folder whose mode the configuration changed: what would follow is found out first. Whether it is only previewed now.
pub(in crate::engine) fn hold_new_mode(
    ctx: &mut Ctx,
    id: FolderId,
    name: &str,
    before: Policy,
    now: Policy,
) -> Result<bool> {
    let open = match ctx.store.open_hold(id, MODE_CHANGED)? {
        Some(hold) => ctx.store.find_hold(hold)?,
        None => None,
    };
    let approved = open.as_ref().and_then(|hold| serde_json::from_str(hold.detail.as_deref()?).ok()).unwrap_or(before);
    if approved.mode == now.mode {
        if let Some(hold) = open {
            ctx.store.drop_hold(hold.hold)?;
        }
    } else if open.is_none() {
        let text = format!(
            "folder `{name}` was `{}` and is to be `{}`: `agent plan {name}` shows what follows; nothing is done until you approve",
            approved.mode.word(),
            now.mode.word()
        );
        let detail = serde_json::to_string(&approved).unwrap_or_default();
        ctx.store.hold(Some(id), None, MODE_CHANGED, &text, Some(&detail), ctx.now.wall)?;
    }
    Ok(approved.mode != now.mode)
}

/// The open hold on a folder's mode.
pub(in crate::engine) fn mode_hold(ctx: &Ctx, id: FolderId) -> Result<Option<HoldId>> {
    ctx.store.open_hold(id, MODE_CHANGED)
}

/// Whether an action is harmless where it is only being found out what a change of the mode would bring.
pub(in crate::engine) fn changes_nothing(action: &Action) -> bool {
    matches!(
        action,
        Action::InSync | Action::Read | Action::Agree | Action::Acknowledge | Action::Forget | Action::Leave
    )
}

/// Holds a folder that the configuration gives another remote or local place: the same as removing it and adding it, which waits for
/// approval, as everything on disk would be left behind. Its state, and whether the hold is new.
pub(in crate::engine) fn hold_moved_folder(
    ctx: &mut Ctx,
    settings: &FolderSettings,
    row: &FolderRow,
) -> Result<(Degraded, bool)> {
    let text = format!(
        "folder `{}` was `{}` in {} and is now `{}` in {}: it stands still until you approve; local files stay where they are",
        settings.name,
        row.remote,
        row.local.display(),
        settings.remote,
        settings.local.display(),
    );
    let is_new = ctx.store.open_hold(row.folder, FOLDER_MOVED)?.is_none();
    ctx.store.hold(Some(row.folder), None, FOLDER_MOVED, &text, None, ctx.now.wall)?;
    let degraded = Degraded {
        name: FOLDER_MOVED.into(),
        cause: text,
        next_step: "`agent held`, then `agent approve ID` to start anew, or put the former place back".into(),
    };
    Ok((degraded, is_new))
}

/// Holds an account that is another person's since: its folders wait.
pub(in crate::engine) fn hold_account(ctx: &mut Ctx, id: AccountId, identity: &Identity, text: &str) -> Result<()> {
    let detail = serde_json::to_string(identity).unwrap_or_default();
    ctx.store.hold(None, Some(id), ACCOUNT_CHANGED, text, Some(&detail), ctx.now.wall)?;
    Ok(())
}

/// Nobody needs to decide any more whose an account is.
pub(in crate::engine) fn drop_account_hold(ctx: &mut Ctx, id: AccountId) -> Result<()> {
    match ctx.store.open_account_hold(id, ACCOUNT_CHANGED)? {
        Some(hold) => ctx.store.drop_hold(hold),
        None => Ok(()),
    }
}

/// Holds all deletions of a folder whose account is another person's now. What a person is told.
pub(in crate::engine) fn hold_folder_of_account(
    ctx: &mut Ctx,
    id: FolderId,
    name: &str,
    was: &str,
    now_is: &str,
) -> Result<String> {
    let text = format!(
        "folder `{name}` was synced for {was} and is {now_is}'s now: nothing of it is deleted until you approve; `agent plan {name}` shows what would be"
    );
    ctx.store.hold(Some(id), None, ACCOUNT_CHANGED, &text, None, ctx.now.wall)?;
    Ok(text)
}

/// A person approves.
pub(in crate::engine) fn approve(ctx: &mut Ctx, id: HoldId) -> Result<Approval> {
    let Some(hold) = ctx.store.find_hold(id)? else { return Ok(Approval::Answered(no_such_hold(id))) };
    let approval = match (hold.reason.as_str(), hold.folder) {
        (MASS_DELETE | MASS_DELETE_UP, folder) => {
            let message = approve_items(ctx, &hold)?;
            if let Some(folder) = folder {
                ctx.store.reset_deletions(folder)?;
            }
            Approval::Items(message)
        }
        (VERSIONS_FULL, _) => Approval::Items(approve_items(ctx, &hold)?),
        (MODE_CHANGED, Some(folder)) => Approval::Mode(folder),
        (MODE_CHANGED, None) => Approval::Answered(Answer::Ok { message: "the folder is gone".to_owned() }),
        (ACCOUNT_CHANGED, Some(folder)) => Approval::Answered(approve_folder_of_account(ctx, folder)?),
        (ACCOUNT_CHANGED, None) => {
            let identity = hold.detail.as_deref().and_then(|detail| serde_json::from_str(detail).ok());
            let (Some(account), Some(identity)) = (hold.account, identity) else {
                let message = "the hold does not say whom it is about; sign in again".into();
                return Ok(Approval::Answered(Answer::Refused { message }));
            };
            Approval::Account(account, identity)
        }
        (FOLDER_MOVED, Some(folder)) => Approval::Moved(folder),
        (FOLDER_MOVED, None) => Approval::Answered(started_anew()),
        (other, _) => {
            let message = format!("hold {id} has the unknown reason `{other}`");
            return Ok(Approval::Answered(Answer::Refused { message }));
        }
    };
    ctx.store.drop_hold(id)?;
    Ok(approval)
}

/// What a person is told who approved a folder's new place.
pub(in crate::engine) fn started_anew() -> Answer {
    Answer::Ok { message: "the folder starts anew in its new place".to_owned() }
}

fn approve_items(ctx: &mut Ctx, hold: &Hold) -> Result<String> {
    let mut approved = 0_u64;
    loop {
        let nodes = ctx.store.held_items(hold.hold, ROWS_PER_STEP)?;
        if nodes.is_empty() {
            break;
        }
        for node in nodes {
            ctx.store.unhold(node, true)?;
            let in_tree = ctx.store.unhold_item(hold.hold, node)?;
            if in_tree.is_some() {
                // It may just be counted anew.
                ctx.store.approve(node)?;
            }
            approved += in_tree.unwrap_or(1);
        }
    }
    if let Some(folder) = hold.folder {
        ctx.store.free_dependents(folder)?;
    }
    ctx.more = true;
    Ok(format!("{approved} files go to the version store now"))
}

/// A person has seen whose a folder is now.
fn approve_folder_of_account(ctx: &mut Ctx, id: FolderId) -> Result<Answer> {
    let mut message = "the folder may delete again".to_owned();
    for reason in [MASS_DELETE, MASS_DELETE_UP] {
        if let Some(waiting) = ctx.store.open_hold(id, reason)? {
            message = format!("{message}; hold {waiting} lists what waits for it");
        }
    }
    ctx.store.wake_all(Some(id))?;
    ctx.more = true;
    Ok(Answer::Ok { message })
}

/// What a person's rejection brings about.
#[derive(Debug)]
pub(in crate::engine) struct Rejection {
    /// The folder of the hold.
    pub folder: Option<FolderId>,
    /// Files that stay where they are.
    pub kept: Vec<NodeId>,
    /// Directories that stay with all that is in them.
    pub trees: Vec<NodeId>,
    /// What the person is told.
    pub answer: Answer,
}

/// A person rejects.
pub(in crate::engine) fn reject(ctx: &mut Ctx, id: HoldId) -> Result<Rejection> {
    let refused = |answer| Rejection { folder: None, kept: Vec::new(), trees: Vec::new(), answer };
    let Some(hold) = ctx.store.find_hold(id)? else { return Ok(refused(no_such_hold(id))) };
    if hold.reason != MASS_DELETE && hold.reason != MASS_DELETE_UP {
        let message = "nothing happens until you approve; to end it, put back what was changed".to_owned();
        return Ok(refused(Answer::Refused { message }));
    }
    let (mut kept, mut trees, mut files) = (Vec::new(), Vec::new(), 0);
    loop {
        let nodes = ctx.store.held_items(id, ROWS_PER_STEP)?;
        if nodes.is_empty() {
            break;
        }
        for node in nodes {
            match ctx.store.unhold_item(id, node)? {
                None => kept.push(node),
                Some(more) => {
                    trees.push(node);
                    files += more;
                }
            }
        }
    }
    ctx.store.drop_hold(id)?;
    ctx.more = true;
    files += kept.len() as u64;
    let message = if hold.reason == MASS_DELETE {
        format!("{files} files stay on disk and are no longer synced")
    } else {
        format!("{files} files stay in the cloud and come back to the disk")
    };
    Ok(Rejection { folder: hold.folder, kept, trees, answer: Answer::Ok { message } })
}

fn no_such_hold(id: HoldId) -> Answer {
    Answer::NotFound { message: format!("there is no hold {id}; `agent held` lists them") }
}
