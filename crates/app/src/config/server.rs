//! Where the shop listens, and how it is reached.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;
use url::{Host, Url};

use super::reader::{Noted, Reader};

/// `[server]`
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// The address to listen on; port 0 takes a free one.
    pub address: SocketAddr,
    /// Base of the links that the payment page returns to, without a slash at its end.
    pub public_url: String,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Where `/metrics` is served alone; `None`: beside the rest, in production not at all.
    pub metrics_address: Option<SocketAddr>,
    /// Origins that browsers may call from.
    pub cors_origins: Vec<String>,
}

impl ServerSettings {
    pub(super) fn read(reader: &mut Reader) -> Result<Self, Noted> {
        let host = reader.parsed("server.host", "an IP address such as 127.0.0.1 or 0.0.0.0, or localhost", ip);
        let port = reader.integer("server.port", 0..=u16::MAX);
        let public_url = reader.parsed("server.public_url", "http(s)://host[:port][/path] without ? and #", public_url);
        let trusted_proxies = reader.list("server.trusted_proxies", CIDRS, cidr);
        let metrics_address =
            reader.optional("server.metrics_addr", "host:port such as 127.0.0.1:9100, or none", socket_address);
        let cors_origins = reader.list("server.cors_origins", ORIGINS, origin);
        Ok(Self {
            address: SocketAddr::new(host?, port?),
            public_url: public_url?,
            trusted_proxies: trusted_proxies?,
            metrics_address: metrics_address?,
            cors_origins: cors_origins?,
        })
    }
}

pub(super) const CIDRS: &str = "comma-separated CIDRs such as 10.0.0.0/8,2001:db8::/32, or none";
const ORIGINS: &str = "comma-separated origins such as https://shop.example, without path or *, or none";

/// A network; a lone address is a network of one.
pub(super) fn cidr(text: &str) -> Option<IpNet> {
    let network = text.parse::<IpNet>().ok();
    network.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from)).map(|network| network.trunc())
}

fn ip(text: &str) -> Option<IpAddr> {
    if text == "localhost" { Some(Ipv4Addr::LOCALHOST.into()) } else { text.parse().ok() }
}

fn socket_address(text: &str) -> Option<SocketAddr> {
    let port = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
    match port {
        Some(port) => Some((Ipv4Addr::LOCALHOST, port).into()),
        None => text.parse().ok(),
    }
}

fn public_url(text: &str) -> Option<String> {
    web_url(text)?;
    Some(text.trim_end_matches('/').to_owned())
}

/// Browsers send origins in lower case, without a slash at the end and without the port that the scheme implies;
/// any other spelling would never match.
fn origin(text: &str) -> Option<String> {
    let url = web_url(text)?;
    let origin = url.origin().ascii_serialization();
    (origin == text).then_some(origin)
}

/// An `http` or `https` URL without credentials, query and fragment.
pub(super) fn web_url(text: &str) -> Option<Url> {
    let has_two_slashes = text.starts_with("http://") || text.starts_with("https://");
    let url = Url::parse(text).ok().filter(|_| has_two_slashes && !text.contains(char::is_whitespace))?;
    let is_plain =
        url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    is_plain.then_some(url)
}

/// Whether nothing sent there leaves the machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
