//! How the process dies, and what it leaves behind.

use std::collections::BTreeMap;

use folder_sync_agent::deed::DeedResult;
use folder_sync_agent::engine::{Engine, Outcome, Task};

use super::disk::Cut;
use super::tally::Tally;
use super::world::{FOLDER, Happening, World};

impl World {
    /// The process dies: what is under way may or may not have reached the disk, and nobody hears of it.
    pub fn crash(&mut self) {
        self.say(|| "the process dies".into());
        self.tally.crashes += 1;
        self.died_at = self.now;
        self.tally.hit("crash");
        let ahead = self.heap.values().find_map(|happening| match happening {
            Happening::Deliver { outcome: Outcome::Polled(Ok(page)), .. } => Some(page.next.clone()),
            _ => None,
        });
        let (dead, alive): (BTreeMap<_, _>, _) =
            std::mem::take(&mut self.heap).into_iter().partition(|(_, happening)| happening.dies_with_the_process());
        self.heap = alive;
        for happening in dead.into_values() {
            match happening {
                Happening::Deeds { orders, .. } => {
                    let done = self.chance.below(orders.len() as u64 + 1) as usize;
                    if done < orders.len() {
                        self.tally.hit("crash: deeds not begun");
                    }
                    for (index, order) in orders[..done].iter().enumerate() {
                        let last = index + 1 == done;
                        let cut = if last && self.chance.one_in(2) { Cut::AfterSwap } else { Cut::Never };
                        let result = self.carry_out_deed(order, cut);
                        let is_cut = cut == Cut::AfterSwap && matches!(result, DeedResult::Failed(_));
                        self.tally.hit(if is_cut {
                            "crash: after a swap"
                        } else {
                            "crash: deeds done and not recorded"
                        });
                    }
                }
                Happening::Serve { task: Task::Fetch(_, order), .. } if self.chance.one_in(2) => {
                    self.tally.hit("crash: half a download");
                    self.disk.stage_half();
                    self.leave_half_visible(&order.path);
                }
                Happening::Serve { task, .. } if self.chance.one_in(2) => {
                    self.write_unrecorded(&task);
                }
                _ => {}
            }
        }
        self.waits.clear();
        self.inbox.clear();
        self.watching = false;
        self.disk.hints.clear();
        self.check_synced();
        self.check_visible();
        let mut store = self.engine.take().unwrap().into_store().unwrap();
        if let Some(mutant) = self.mutant {
            mutant.spoil(&mut store, ahead.as_ref());
            self.delivered.extend(ahead);
        }
        self.engine = Some(Engine::new(store));
        if self.swarm.power {
            // What nobody flushed is gone with the power.
            for lost in self.disk.lose_unflushed(&mut self.extra) {
                self.say(|| format!("the power takes {lost}"));
                self.tally.hit("power cut: staged file lost");
            }
        }
        if self.swarm.reboot {
            self.tally.hit("crash: the clock begins anew");
            self.boot = self.now;
        }
        let account = self.store().reader().accounts().unwrap().pop();
        self.read_to = account.and_then(|account| account.cursor);
        self.start();
    }

    fn write_unrecorded(&mut self, task: &Task) {
        if self.write_late(task) {
            self.tally.hit("crash: write done and not recorded");
        }
    }

    /// Moves the wall clock.
    pub fn jump_wall(&mut self) {
        self.tally.hit("wall clock jumps");
        let hour = 3_600_000;
        self.wall_jump += self.chance.below(4 * hour) as i64 - 2 * hour as i64;
    }

    /// The history is over: what it came to.
    pub fn end(mut self) -> Tally {
        for (word, times) in std::mem::take(&mut self.cloud.disturbed) {
            *self.tally.faults.entry(word.into()).or_default() += times;
        }
        self.tally.conflicts = self.store().conflicts(FOLDER).unwrap().len() as u64;
        std::mem::take(&mut self.tally)
    }
}
