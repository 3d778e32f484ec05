//! Listing users (contract 2, `GET /admin/users`).

use crate::account::{AccountService, User, UserFilter, UserPosition};
use crate::page::{Page, PageLimit};
use crate::store::StoreError;

impl AccountService {
    /// Users, newest first.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn list_users(
        &self,
        filter: &UserFilter,
        after: Option<UserPosition>,
        limit: PageLimit,
    ) -> Result<Page<User, UserPosition>, StoreError> {
        self.users.list(filter, after, limit).await
    }
}
