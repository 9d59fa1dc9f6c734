//! An account as bytes.
//!
//! ```text
//! account      = first [second]
//! second       = version(1) credentials
//! ```
//!
//! The first part is all that the first version of the server wrote, with the hash of the main
//! password in it; an account that ends there has that password and nothing of the second part.

use super::{
    super::{Malformed, Read, Reader, Writer},
    account_id, option, read_bool, read_option,
};
use crate::{
    contract::{AccountInfo, Quota},
    credential::{
        ActAs, AppPassword, CredentialId, LastUse, MainPassword, Scope, Scopes, Verifiers,
    },
};

/// The version of the second part.
const VERSION: u8 = 1;
/// The id of a password from before passwords had ids.
const FIRST_PASSWORD: CredentialId = CredentialId(1);

/// Writes an account.
pub(crate) fn account(w: &mut Writer, info: &AccountInfo) {
    let password = info.password.as_ref();
    w.var(info.id.get());
    w.str(&info.name);
    w.var(info.aliases.len() as u64);
    for alias in &info.aliases {
        w.str(alias);
    }
    option(
        w,
        password.map(|it| it.verifiers.hash.as_str()),
        Writer::str,
    );
    w.str(&info.display_name);
    w.u8(info.enabled.into());
    option(w, info.quota.bytes, Writer::var);
    option(w, info.quota.messages, Writer::var);
    w.signed(info.created_secs);

    w.u8(VERSION);
    w.var(info.credentials_issued.0);
    if let Some(password) = password {
        w.var(password.id.0);
        option(w, password.verifiers.scram.as_deref(), Writer::str);
    }
    w.var(info.app_passwords.len() as u64);
    for each in &info.app_passwords {
        app_password(w, each);
    }
    act_as(w, &info.may_act_as);
}

/// Reads an account; nothing may follow it.
pub(crate) fn read_account(r: &mut Reader<'_>) -> Read<AccountInfo> {
    let id = account_id(r)?;
    let name = r.str()?.to_owned();
    let aliases = r.list(text)?;
    let hash = read_option(r, text)?;
    let mut info = AccountInfo {
        id,
        name,
        aliases,
        credentials_issued: hash.as_ref().map_or(CredentialId(0), |_| FIRST_PASSWORD),
        password: hash.map(|hash| MainPassword {
            id: FIRST_PASSWORD,
            verifiers: Verifiers { hash, scram: None },
        }),
        app_passwords: Vec::new(),
        may_act_as: ActAs::default(),
        display_name: text(r)?,
        enabled: read_bool(r)?,
        quota: Quota {
            bytes: read_option(r, Reader::var)?,
            messages: read_option(r, Reader::var)?,
        },
        created_secs: r.signed()?,
    };
    if r.is_empty() {
        return Ok(info);
    } else if r.u8()? != VERSION {
        return Err(Malformed);
    }
    info.credentials_issued = CredentialId(r.var()?);
    if let Some(password) = &mut info.password {
        password.id = CredentialId(r.var()?);
        password.verifiers.scram = read_option(r, text)?;
    }
    info.app_passwords = r.list(read_app_password)?;
    info.may_act_as = read_act_as(r)?;
    Ok(info)
}

fn text(r: &mut Reader<'_>) -> Read<String> {
    r.str().map(str::to_owned)
}

fn app_password(w: &mut Writer, app: &AppPassword) {
    w.var(app.id.0);
    w.str(&app.name);
    w.str(&app.verifiers.hash);
    option(w, app.verifiers.scram.as_deref(), Writer::str);
    w.str(&app.selector);
    w.u8(app.scopes.bits());
    w.signed(app.created_secs);
    option(w, app.expires_secs, Writer::signed);
    option(w, app.last_use.as_ref(), |w, used| {
        w.signed(used.secs);
        w.str(&used.place);
        w.u8([used.scope].into_iter().collect::<Scopes>().bits());
    });
}

fn read_app_password(r: &mut Reader<'_>) -> Read<AppPassword> {
    Ok(AppPassword {
        id: CredentialId(r.var()?),
        name: text(r)?,
        verifiers: Verifiers {
            hash: text(r)?,
            scram: read_option(r, text)?,
        },
        selector: text(r)?,
        scopes: scopes(r)?,
        created_secs: r.signed()?,
        expires_secs: read_option(r, Reader::signed)?,
        last_use: read_option(r, read_last_use)?,
    })
}

fn read_last_use(r: &mut Reader<'_>) -> Read<LastUse> {
    Ok(LastUse {
        secs: r.signed()?,
        place: text(r)?,
        scope: scope(r)?,
    })
}

fn scopes(r: &mut Reader<'_>) -> Read<Scopes> {
    Scopes::from_bits(r.u8()?).ok_or(Malformed)
}

/// A set of one.
fn scope(r: &mut Reader<'_>) -> Read<Scope> {
    let scopes = scopes(r)?;
    let mut each = scopes.iter();
    match (each.next(), each.next()) {
        (Some(scope), None) => Ok(scope),
        _ => Err(Malformed),
    }
}

fn act_as(w: &mut Writer, act_as: &ActAs) {
    match act_as {
        ActAs::These(accounts) => {
            w.u8(0);
            w.var(accounts.len() as u64);
            for account in accounts {
                w.var(account.get());
            }
        }
        ActAs::Anyone => w.u8(1),
    }
}

fn read_act_as(r: &mut Reader<'_>) -> Read<ActAs> {
    match r.u8()? {
        0 => Ok(ActAs::These(r.list(account_id)?)),
        1 => Ok(ActAs::Anyone),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the first version of the server wrote for `you@localhost`, alias `me`.
    const FIRST_VERSION: &[u8] =
        b"\x07\x0dyou@localhost\x01\x02me\x01\x04$h$x\x03You\x01\x01\xe8\x07\x00\x0a";

    #[test]
    fn an_account_of_the_first_version_is_read() {
        let mut r = Reader::new(FIRST_VERSION);
        let info = read_account(&mut r).unwrap();
        assert!(r.end().is_ok());
        assert_eq!((info.id.get(), &*info.name), (7, "you@localhost"));
        assert_eq!((info.quota.bytes, info.created_secs), (Some(1_000), 5));
        let password = info.password.as_ref().unwrap();
        assert_eq!(password.id, FIRST_PASSWORD);
        assert_eq!(password.verifiers.hash, "$h$x");
        assert_eq!(info.credentials_issued, FIRST_PASSWORD);
        assert_eq!(info.may_act_as, ActAs::default());
        // Written again it has both parts, and is the same.
        let mut w = Writer::default();
        account(&mut w, &info);
        assert!(w.0.starts_with(FIRST_VERSION));
        assert_eq!(read_account(&mut Reader::new(&w.0)), Ok(info));
    }

    #[test]
    fn a_second_part_of_another_version_is_not_guessed_at() {
        let mut bytes = FIRST_VERSION.to_vec();
        bytes.push(9);
        assert_eq!(read_account(&mut Reader::new(&bytes)), Err(Malformed));
    }
}
