//! Where telemetry goes: the address of an OpenTelemetry collector.

use super::{Bounds, ProviderUrl, Setting};

/// The port of OTLP over gRPC.
const PORT: u16 = 4_317;

/// The address of a collector. Unlike what is secret, telemetry may cross a network of one's own in
/// clear, as it does between containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectorUrl(pub ProviderUrl);

impl Setting for CollectorUrl {
    fn allowed(_: &Bounds) -> String {
        "http://HOST:PORT or https://HOST:PORT, with a path if it is not the usual one".to_owned()
    }

    fn parse(text: &str, _: &Bounds) -> Result<Self, String> {
        ProviderUrl::read_any(text, Some(PORT)).map(Self)
    }

    fn show(&self) -> String {
        self.0.show()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_an_address() {
        let read = |text| CollectorUrl::parse(text, &(0..=0)).map(|url| url.show());
        for (text, shown) in [
            ("http://collector", "http://collector:4317/"),
            ("http://10.0.0.7:4318", "http://10.0.0.7:4318/"),
            (
                "https://otlp.example.org:443/otlp",
                "https://otlp.example.org:443/otlp",
            ),
        ] {
            assert_eq!(read(text).as_deref(), Ok(shown));
        }
        assert!(read("localhost:4317").is_err());
    }
}
