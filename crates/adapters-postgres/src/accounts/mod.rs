//! Users, sessions and refresh tokens on PostgreSQL. Locks are taken in this order: active admins by id, the
//! user, the session.

mod guard;
mod live;
mod rows;
mod sessions;
mod users;

pub use guard::PgAuthGuard;
pub use live::LiveSessions;
pub use sessions::PgSessions;
pub use users::PgUsers;
