//! The simulated histories as a program of their own: see `sim::mass`.

mod sim;
