//! What must be true when the world is at rest.
