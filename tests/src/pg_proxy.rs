//! A proxy in front of PostgreSQL that reads the wire: it cuts a connection beside a COMMIT, before the server has it
//! or after it and before its answer, and it can keep a transaction from beginning.

#![allow(clippy::expect_used, clippy::missing_panics_doc, reason = "what fails here fails the test")]

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// On which side of a COMMIT the connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The server never gets it.
    BeforeCommit,
    /// The server has done it, and its answer is lost.
    AfterCommit,
}

/// The proxy. Dropped, it stops listening, and its connections are cut.
#[derive(Debug)]
pub struct PgProxy {
    port: u16,
    wire: Arc<Wire>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Wire {
    /// Cuts to come, one for each of the next commits; `None` lets one pass.
    plan: Mutex<VecDeque<Option<Cut>>>,
    cuts: AtomicUsize,
    holds_begins: watch::Sender<bool>,
    held: AtomicUsize,
}

impl PgProxy {
    /// Listens on a free port of the loopback interface, in front of the server on `server_port`.
    pub async fn start(server_port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let wire = Arc::new(Wire {
            plan: Mutex::default(),
            cuts: AtomicUsize::new(0),
            holds_begins: watch::Sender::new(false),
            held: AtomicUsize::new(0),
        });
        let serving = tokio::spawn(serve(listener, server_port, Arc::clone(&wire)));
        Self { port, wire, serving }
    }

    /// Where it listens, on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Plans what happens to the next commits, in turn; `None` lets one pass. The later ones pass.
    pub fn plans(&self, cuts: impl IntoIterator<Item = Option<Cut>>) {
        let mut plan = self.wire.plan.lock().unwrap_or_else(PoisonError::into_inner);
        *plan = cuts.into_iter().collect();
    }

    /// How many connections were cut.
    #[must_use]
    pub fn cuts(&self) -> usize {
        self.wire.cuts.load(Ordering::SeqCst)
    }

    /// Keeps every BEGIN from the server until [`PgProxy::lets_begin`].
    pub fn holds_begins(&self) {
        self.wire.holds_begins.send_replace(true);
    }

    /// Lets transactions begin again.
    pub fn lets_begin(&self) {
        self.wire.holds_begins.send_replace(false);
    }

    /// How many BEGINs were held so far.
    #[must_use]
    pub fn held(&self) -> usize {
        self.wire.held.load(Ordering::SeqCst)
    }
}

impl Drop for PgProxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, server_port: u16, wire: Arc<Wire>) {
    // Aborted, the set is dropped with all its connections.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        // A server that is away looks like one: the client's connection is closed.
        let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server_port)).await else { continue };
        for socket in [&client, &server] {
            socket.set_nodelay(true).expect("an option of the socket");
        }
        connections.spawn(carry(client, server, Arc::clone(&wire)));
        while connections.try_join_next().is_some() {}
    }
}

/// Carries bytes both ways until one side ends, or the connection is cut.
async fn carry(client: TcpStream, server: TcpStream, wire: Arc<Wire>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let answer_is_lost = AtomicBool::new(false);
    tokio::select! {
        _ = forth(from_client, to_server, &wire, &answer_is_lost) => {}
        _ = back(from_server, to_client, &answer_is_lost) => {}
    }
}

async fn back(mut server: OwnedReadHalf, mut client: OwnedWriteHalf, is_lost: &AtomicBool) -> std::io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = server.read(&mut buffer).await?;
        // Nothing is sent behind a COMMIT before its answer, so these bytes are that answer.
        if read == 0 || is_lost.load(Ordering::SeqCst) {
            return Ok(());
        }
        client.write_all(&buffer[..read]).await?;
    }
}

async fn forth(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    wire: &Wire,
    answer_is_lost: &AtomicBool,
) -> std::io::Result<()> {
    let mut pending = Vec::new();
    // The first message of a connection has a length and no type.
    let mut type_bytes = 0;
    loop {
        while let Some(length) = whole_message(&pending, type_bytes) {
            let message: Vec<u8> = pending.drain(..length).collect();
            if type_bytes == 1 && is_query(&message, b"BEGIN") {
                wire.wait_for_leave().await;
            }
            if type_bytes == 1 && is_query(&message, b"COMMIT") {
                match wire.next_cut() {
                    None => {}
                    Some(Cut::BeforeCommit) => return Ok(()),
                    Some(Cut::AfterCommit) => answer_is_lost.store(true, Ordering::SeqCst),
                }
            }
            server.write_all(&message).await?;
            type_bytes = 1;
        }
        if client.read_buf(&mut pending).await? == 0 {
            return Ok(());
        }
    }
}

/// The length of the first message, if all of it is there: after the type, 4 bytes say how long the rest is.
fn whole_message(bytes: &[u8], type_bytes: usize) -> Option<usize> {
    let length = bytes.get(type_bytes..type_bytes + 4)?;
    let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize + type_bytes;
    (bytes.len() >= length).then_some(length)
}

fn is_query(message: &[u8], words: &[u8]) -> bool {
    message[0] == b'Q' && message.get(5..).is_some_and(|text| text.starts_with(words))
}

impl Wire {
    fn next_cut(&self) -> Option<Cut> {
        let cut = self.plan.lock().unwrap_or_else(PoisonError::into_inner).pop_front().flatten();
        self.cuts.fetch_add(usize::from(cut.is_some()), Ordering::SeqCst);
        cut
    }

    async fn wait_for_leave(&self) {
        let mut holds = self.holds_begins.subscribe();
        if *holds.borrow_and_update() {
            self.held.fetch_add(1, Ordering::SeqCst);
            // An error means that the proxy is gone; then so is this connection.
            let _ = holds.wait_for(|holds| !holds).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{is_query, whole_message};

    #[test]
    fn messages_are_told_apart_by_their_length() {
        assert_eq!(whole_message(b"Q\0\0\0\x0bCOMMIT\0S", 1), Some(12));
        assert_eq!(whole_message(b"Q\0\0\0\x0bCOMMI", 1), None);
        assert_eq!(whole_message(b"\0\0\0\x08\x04\xd2\x16\x2f", 0), Some(8));
        assert!(is_query(b"Q\0\0\0\x0bCOMMIT\0", b"COMMIT"));
        assert!(!is_query(b"P\0\0\0\x0bCOMMIT\0", b"COMMIT"));
    }
}
