//! The simulator as a program of its own.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use clap::Parser;
use stripe_simulator::{SimulatorConfig, StripeSimulator, WebhookTarget};

/// A stateful stand-in for Stripe, for development and tests.
#[derive(Debug, Parser)]
struct Arguments {
    /// Address to listen on.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// Port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 12111)]
    port: u16,
    /// Accept this API key only; without it, any key that is not empty.
    #[arg(long)]
    api_key: Option<String>,
    /// Base of the payment page's addresses, where it differs from the address listened on.
    #[arg(long)]
    public_url: Option<String>,
    /// Send events to this plain http:// address; repeatable.
    #[arg(long = "webhook-url", requires = "webhook_secrets", value_parser = parse_webhook_url)]
    webhook_urls: Vec<String>,
    /// Sign events with this secret; one for each --webhook-url, in the same order.
    #[arg(long = "webhook-secret", value_parser = parse_secret)]
    webhook_secrets: Vec<String>,
}

fn parse_webhook_url(text: &str) -> Result<String, String> {
    if text.starts_with("http://") {
        return Ok(text.to_owned());
    }
    Err("a webhook address starts with http://: the simulator sends without TLS".to_owned())
}

fn parse_secret(text: &str) -> Result<String, String> {
    if text.starts_with("whsec_") {
        return Ok(text.to_owned());
    }
    Err("a webhook secret starts with whsec_".to_owned())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()))
        .with_writer(std::io::stderr)
        .init();
    let arguments = Arguments::parse();
    if arguments.webhook_urls.len() != arguments.webhook_secrets.len() {
        return Err("each --webhook-url needs its own --webhook-secret, in the same order".into());
    }
    let webhook_endpoints = arguments
        .webhook_urls
        .into_iter()
        .zip(arguments.webhook_secrets)
        .map(|(url, secret)| WebhookTarget { url, secret })
        .collect();
    let simulator = StripeSimulator::start(SimulatorConfig {
        listen: SocketAddr::from((arguments.host, arguments.port)),
        public_url: arguments.public_url,
        api_key: arguments.api_key,
        webhook_endpoints,
        ..SimulatorConfig::default()
    })
    .await?;
    // The first line on stdout is the address, so that scripts can start with port 0.
    writeln!(std::io::stdout(), "{}", simulator.base_url())?;
    wait_for_end().await?;
    simulator.stop().await;
    Ok(())
}

/// Waits for Ctrl-C or SIGTERM.
async fn wait_for_end() -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}
