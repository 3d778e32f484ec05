//! Whose request it is: the peer's, or what a trusted proxy says of it (contract 4).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actix_web::http::header::{HeaderMap, HeaderName};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's address: the peer's, unless the peer is a trusted proxy. Then it is the right-most entry of all
/// `X-Forwarded-For` headers that is no trusted proxy itself: each proxy appends whom it heard, so what lies further
/// left was written by someone nobody vouches for. Where an entry is no address, the proxy right of it is all that is
/// known.
pub(super) fn client_address(peer: Option<SocketAddr>, headers: &HeaderMap, trusted_proxies: &[IpNet]) -> IpAddr {
    // There is a peer on every TCP connection.
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip()).to_canonical();
    if !contains(trusted_proxies, peer) {
        return peer;
    }
    let mut known = peer;
    let lines: Vec<_> = headers.get_all(X_FORWARDED_FOR).collect();
    // A header that is not text is one entry that is no address.
    let entries = lines.iter().rev().flat_map(|line| line.to_str().unwrap_or("?").rsplit(','));
    for entry in entries {
        let Some(address) = parse(entry) else { break };
        known = address;
        if !contains(trusted_proxies, address) {
            break;
        }
    }
    known
}

/// Whether an address is in one of the networks.
pub(super) fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// An entry as proxies write it: an address, with a port or in brackets as some do.
fn parse(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim();
    let with_port = || entry.parse::<SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || entry.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    entry.parse().ok().or_else(with_port).or_else(in_brackets).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use actix_web::http::header::HeaderValue;

    use super::*;

    fn seen(peer: &str, forwarded: &[&str]) -> String {
        let trusted: Vec<IpNet> = ["10.0.0.0/8", "2001:db8:ffff::/48"].map(|cidr| cidr.parse().unwrap()).into();
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        client_address(Some(SocketAddr::new(peer.parse().unwrap(), 1)), &headers, &trusted).to_string()
    }

    #[test]
    fn a_stranger_is_who_connects_whatever_it_claims() {
        for forwarded in [vec![], vec!["198.51.100.7"], vec!["10.0.0.1", "198.51.100.7, 10.0.0.2"]] {
            assert_eq!(seen("203.0.113.9", &forwarded), "203.0.113.9");
        }
        assert_eq!(seen("::ffff:203.0.113.9", &["198.51.100.7"]), "203.0.113.9");
    }

    #[test]
    fn behind_trusted_proxies_it_is_the_right_most_address_that_is_none_of_them() {
        for (forwarded, client) in [
            (vec!["198.51.100.7"], "198.51.100.7"),
            (vec!["1.1.1.1, 198.51.100.7"], "198.51.100.7"),
            (vec!["1.1.1.1,198.51.100.7 , 10.1.2.3"], "198.51.100.7"),
            (vec!["1.1.1.1", "198.51.100.7"], "198.51.100.7"),
            (vec!["198.51.100.7", "10.0.0.2, 10.0.0.3"], "198.51.100.7"),
            (vec!["10.0.0.9, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),
            (vec!["198.51.100.7:4711"], "198.51.100.7"),
            (vec!["::ffff:198.51.100.7"], "198.51.100.7"),
            (vec!["[2001:db8::1]:4711"], "2001:db8::1"),
            (vec!["[2001:db8::1]"], "2001:db8::1"),
            (vec!["198.51.100.7, 2001:db8:ffff::2"], "198.51.100.7"),
        ] {
            assert_eq!(seen("10.0.0.1", &forwarded), client, "{forwarded:?}");
            assert_eq!(seen("::ffff:10.0.0.1", &forwarded), client, "{forwarded:?}");
        }
    }

    #[test]
    fn at_an_entry_that_is_no_address_the_last_trusted_hop_is_taken() {
        for (forwarded, client) in [
            (vec![], "10.0.0.1"),
            (vec![""], "10.0.0.1"),
            (vec!["unknown"], "10.0.0.1"),
            (vec!["198.51.100.7, unknown, 10.0.0.2"], "10.0.0.2"),
            (vec!["198.51.100.7,"], "10.0.0.1"),
            (vec!["198.51.100.7", "\u{e9}"], "10.0.0.1"),
            (vec!["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            (vec!["999.1.1.1"], "10.0.0.1"),
            (vec!["' OR 1=1 --, 10.0.0.2"], "10.0.0.2"),
        ] {
            assert_eq!(seen("10.0.0.1", &forwarded), client, "{forwarded:?}");
        }
    }
}
