//! What people do.
use super::world::World;
impl World {
    pub fn act(&mut self) {}
}
