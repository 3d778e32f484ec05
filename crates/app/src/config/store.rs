//! What the shop sells in.

use domain::money::Currency;

use super::reader::{Noted, Reader};

/// `[store]`
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// The one currency of all prices.
    pub currency: Currency,
}

impl StoreSettings {
    pub(super) fn read(reader: &mut Reader) -> Result<Self, Noted> {
        let currency = reader.parsed("store.currency", "the ISO 4217 code of a currency with two decimals", currency);
        Ok(Self { currency: currency? })
    }
}

fn currency(text: &str) -> Option<Currency> {
    let is_known = TWO_DECIMALS.split_ascii_whitespace().any(|code| code == text);
    is_known.then(|| Currency::parse(text).ok()).flatten()
}

/// ISO 4217, active national currencies whose minor unit is a hundredth.
const TWO_DECIMALS: &str = "
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP
    CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES
    KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MKD MMK MNT MOP MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD
    PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT
    TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD XCG YER ZAR ZMW ZWG
";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn only_currencies_with_two_decimals_are_known() {
        for known in ["USD", "EUR", "GBP", "CHF"] {
            assert_eq!(currency(known).unwrap().as_str(), known);
        }
        for unknown in ["JPY", "KWD", "CLF", "usd", "US", "USDX", "XXX", "XAU", "", "AED AFN"] {
            assert!(currency(unknown).is_none(), "{unknown:?}");
        }
    }
}
