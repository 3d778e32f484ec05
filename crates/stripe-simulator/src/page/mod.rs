//! The hosted payment page.

use crate::http::{Incoming, Reply};
use crate::simulation::Simulation;

pub(crate) fn handle(_simulation: &Simulation, _request: &Incoming) -> Reply {
    Reply::html(404, "not found".to_owned())
}
