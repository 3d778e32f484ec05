//! Catalogue writes, announced to all instances by the transaction that makes them, and heard by each.
//!
//! Sales are not announced: `NOTIFY` holds one lock of the whole server through its commit, so every checkout would wait
//! for every other. How old a stock may be is bounded where it is kept.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use diesel::QueryResult;
use diesel::sql_query;
use diesel::sql_types::Text;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::catalog::CatalogWatcher;
use domain::id::ProductId;
use futures_util::future::{Either, select};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};
use tokio_postgres::{AsyncMessage, Client, Connection, NoTls};

use crate::cached::cached;
use crate::connection::{ConnectError, DatabaseUrl, tls};

/// The channel on which products are named that have changed.
const CHANNEL: &str = "catalogue";

/// How the listening connection is known to the database's operator.
const APPLICATION_NAME: &str = "ironcart listener";

/// The pause before the first attempt to listen again, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How often the listening connection is tried, and for how long an answer is waited for: a server that vanished
/// without a word never ends a connection on which nothing is sent.
const TRIAL_INTERVAL: Duration = Duration::from_secs(15);
const TRIAL_PATIENCE: Duration = Duration::from_secs(5);

/// Announces with the commit, to whoever listens, that a product has changed.
pub(super) async fn announce(connection: &mut AsyncPgConnection, product: ProductId) -> QueryResult<()> {
    let notify = sql_query("SELECT pg_notify($1, $2)").bind::<Text, _>(CHANNEL).bind::<Text, _>(product.to_string());
    cached(notify).execute(connection).await?;
    Ok(())
}

/// Hears what is announced, on a connection of its own.
pub struct CatalogListener {
    url: DatabaseUrl,
    watcher: Arc<dyn CatalogWatcher>,
}

impl CatalogListener {
    /// Passes on to `watcher` what is announced in this database.
    #[must_use]
    pub const fn new(url: DatabaseUrl, watcher: Arc<dyn CatalogWatcher>) -> Self {
        Self { url, watcher }
    }

    /// Listens until the future is dropped, and begins anew whenever the connection ends. The watcher is told each time
    /// that it may have missed something.
    pub async fn listen(self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let begun = tokio::time::Instant::now();
            let Err(error) = self.listen_once().await;
            if begun.elapsed() > LONGEST_PAUSE {
                pause = FIRST_PAUSE;
            }
            tracing::warn!(%error, "changes of the catalogue are not heard; reads from memory show them a second later");
            sleep(pause.mul_f64(rand::random_range(0.5..=1.0))).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    async fn listen_once(&self) -> Result<Infallible, ConnectError> {
        let mut config = self.url.config().clone();
        config.application_name(APPLICATION_NAME);
        if self.url.is_encrypted() {
            let (client, connection) = config.connect(tls()?).await?;
            self.follow(&client, connection).await
        } else {
            let (client, connection) = config.connect(NoTls).await?;
            self.follow(&client, connection).await
        }
    }

    /// Drives the connection, and asks for announcements on it, until either fails.
    async fn follow<S, T>(&self, client: &Client, mut connection: Connection<S, T>) -> Result<Infallible, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let heard = async {
            while let Some(message) = poll_fn(|context| connection.poll_message(context)).await.transpose()? {
                self.hear(&message);
            }
            Err(ConnectError::Closed)
        };
        let asked = self.ask(client);
        match select(pin!(heard), pin!(asked)).await {
            Either::Left((ended, _)) | Either::Right((ended, _)) => ended,
        }
    }

    fn hear(&self, message: &AsyncMessage) {
        if let AsyncMessage::Notification(announced) = message {
            // Somebody else may announce on the channel, too.
            match ProductId::parse(announced.payload()) {
                Ok(product) => self.watcher.changed(product),
                Err(_) => self.watcher.missed_some(),
            }
        }
    }

    async fn ask(&self, client: &Client) -> Result<Infallible, ConnectError> {
        client.batch_execute(&format!("LISTEN {CHANNEL}")).await?;
        self.watcher.missed_some();
        tracing::debug!("changes of the catalogue are heard");
        loop {
            sleep(TRIAL_INTERVAL).await;
            timeout(TRIAL_PATIENCE, client.batch_execute("")).await.map_err(|_| ConnectError::Closed)??;
        }
    }
}
