//! Currencies and amounts: what can be charged, and how an amount reads.

use crate::error::ApiError;

/// Charges above this many minor units are refused.
pub(crate) const MAX_CHARGE_MINOR: i64 = 99_999_999;

const CURRENCIES: &str = "aed aud bgn brl cad chf clp cny cop czk dkk egp eur gbp hkd huf idr ils inr isk jpy krw mad \
                          mxn myr ngn nok nzd pen php pln ron rsd sar sek sgd thb try twd uah usd uyu vnd zar";

/// Checks a currency code and gives it in lower case.
pub(crate) fn parse_currency(code: &str, param: &str) -> Result<String, ApiError> {
    let lower = code.to_ascii_lowercase();
    if CURRENCIES.split(' ').any(|known| known == lower) {
        return Ok(lower);
    }
    Err(ApiError::invalid(format!("Invalid currency: {code}. The simulator knows these: {CURRENCIES}")).param(param))
}

/// The least amount that can be charged, in minor units.
pub(crate) fn minimum_charge_minor(currency: &str) -> i64 {
    match currency {
        "gbp" => 30,
        "sek" | "nok" => 300,
        "dkk" => 250,
        "pln" | "aed" | "ron" | "myr" => 200,
        "mxn" | "thb" => 1_000,
        "czk" => 1_500,
        "huf" => 17_500,
        "hkd" => 400,
        _ => 50,
    }
}

/// Refuses an amount that is too small or too large to be charged.
pub(crate) fn check_chargeable(amount: i64, currency: &str, param: &str) -> Result<(), ApiError> {
    let minimum = minimum_charge_minor(currency);
    if amount < minimum {
        return Err(ApiError::invalid(format!(
            "The total amount due must add up to at least {} {currency}",
            display(minimum, currency)
        ))
        .code("amount_too_small")
        .param(param));
    }
    if amount > MAX_CHARGE_MINOR {
        return Err(ApiError::invalid(format!(
            "The total amount due must be no more than {} {currency}",
            display(MAX_CHARGE_MINOR, currency)
        ))
        .code("amount_too_large")
        .param(param));
    }
    Ok(())
}

fn has_no_minor_unit(currency: &str) -> bool {
    matches!(currency, "jpy" | "krw" | "clp" | "vnd")
}

/// An amount as a person reads it, e.g. `$1,234.50` or `1,234.50 SEK`.
pub(crate) fn display(amount_minor: i64, currency: &str) -> String {
    let sign = if amount_minor < 0 { "-" } else { "" };
    let absolute = amount_minor.unsigned_abs();
    let (whole, fraction) = if has_no_minor_unit(currency) {
        (absolute, String::new())
    } else {
        (absolute / 100, format!(".{:02}", absolute % 100))
    };
    let number = format!("{}{fraction}", grouped(whole));
    match currency {
        "usd" => format!("{sign}${number}"),
        "eur" => format!("{sign}€{number}"),
        "gbp" => format!("{sign}£{number}"),
        "jpy" => format!("{sign}¥{number}"),
        _ => format!("{sign}{number} {}", currency.to_ascii_uppercase()),
    }
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::display;

    #[test]
    fn amounts_read_as_a_person_writes_them() {
        assert_eq!(display(1_234_567, "usd"), "$12,345.67");
        assert_eq!(display(5, "eur"), "€0.05");
        assert_eq!(display(1_200, "jpy"), "¥1,200");
        assert_eq!(display(99_900, "sek"), "999.00 SEK");
    }
}
