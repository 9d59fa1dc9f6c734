//! The header that begins the first message of SCRAM and OAUTHBEARER (RFC 5801 §4 as it stands in
//! RFC 5802 §7), and names in it.
//!
//! ```abnf
//! gs2-header     = gs2-cbind-flag "," [ authzid ] ","
//! gs2-cbind-flag = ("p=" cb-name) / "n" / "y"
//! authzid        = "a=" saslname
//! ```

use super::Fault;
use crate::limits::USER_BYTES_MAX;

/// What the client says about channel binding.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Flag {
    /// `n`: it does not support it.
    Unsupported,
    /// `y`: it does, and believes that the server does not.
    NotOffered,
    /// `p=name`: it uses this one.
    Used(Box<str>),
}

/// The header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub(super) flag: Flag,
    pub(super) act_as: Option<Box<str>>,
}

/// Reads the header of a message; also returns the header as it was written, and what follows it.
pub(super) fn read(message: &str) -> Result<(Header, &str, &str), Fault> {
    let (flag, rest) = message.split_once(',').ok_or(Fault::Malformed)?;
    let flag = match flag {
        "n" => Flag::Unsupported,
        "y" => Flag::NotOffered,
        _ => Flag::Used(binding_name(flag).ok_or(Fault::Malformed)?.into()),
    };
    let (act_as, rest) = rest.split_once(',').ok_or(Fault::Malformed)?;
    let act_as = match act_as {
        "" => None,
        _ => Some(name(act_as.strip_prefix("a=").ok_or(Fault::Malformed)?)?),
    };
    let header = message.strip_suffix(rest).ok_or(Fault::Malformed)?;
    Ok((Header { flag, act_as }, header, rest))
}

fn binding_name(flag: &str) -> Option<&str> {
    let name = flag.strip_prefix("p=")?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    (!name.is_empty() && name.bytes().all(fits)).then_some(name)
}

/// A `saslname` as it is meant: `=2C` is a comma and `=3D` an equals sign; anything else after an
/// equals sign fails the exchange (RFC 5802 §5.1).
pub(super) fn name(written: &str) -> Result<Box<str>, Fault> {
    let mut parts = written.split('=');
    let mut name = String::from(parts.next().unwrap_or_default());
    for part in parts {
        let (meant, rest) = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (None, Some(rest)) => ('=', rest),
            (None, None) => return Err(Fault::Malformed),
        };
        name.push(meant);
        name.push_str(rest);
    }
    let unfit = |c: char| c == '\0';
    match name.len() {
        0 => Err(Fault::Malformed),
        _ if written.contains(',') || name.contains(unfit) => Err(Fault::Malformed),
        length if length > USER_BYTES_MAX => Err(Fault::TooLong),
        _ => Ok(name.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let check = |message: &str, flag: Flag, act_as: Option<&str>, header: &str| {
            let (read, written, rest) = read(message).unwrap();
            assert_eq!((read.flag, read.act_as.as_deref()), (flag, act_as));
            assert_eq!((written, rest), (header, &message[header.len()..]));
        };
        check("n,,n=user,r=x", Flag::Unsupported, None, "n,,");
        check(
            "y,a=b=2Cc=3D,",
            Flag::NotOffered,
            Some("b,c="),
            "y,a=b=2Cc=3D,",
        );
        let used = Flag::Used("tls-exporter".into());
        check("p=tls-exporter,,,,", used, None, "p=tls-exporter,,");
        for bad in [
            "",
            "n",
            "n,",
            ",,",
            "x,,",
            "p,,",
            "p=,,",
            "p=a b,,",
            "n,b,",
            "n,a=,",
            "n,a=b=,",
            "n,a=b=2c,",
            "n,a=b\0,",
            "N,,",
            "F,n,,",
        ] {
            assert_eq!(read(bad).err(), Some(Fault::Malformed), "{bad:?}");
        }
        let long = "x".repeat(USER_BYTES_MAX + 1);
        assert_eq!(read(&format!("n,a={long},")).err(), Some(Fault::TooLong));
        assert!(read(&format!("n,a={},", &long[1..])).is_ok());
    }
}
