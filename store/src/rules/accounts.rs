//! Accounts: what a new one holds, and which names it may have.

use mail::{
    id::AccountId,
    mailbox::{MailboxName, SpecialUse},
};

use super::{
    Context,
    names::{Issuer, TreeChange},
};
use crate::{
    contract::{AccountChange, AccountInfo, NewAccount, Subscription, Tree},
    credential::{
        APP_PASSWORDS_MAX, ActAs, AppPassword, CredentialChange, CredentialId, MainPassword,
        NewAppPassword, Verifiers,
    },
    error::{Error, Result, What},
};

/// The mailboxes of a new account beside INBOX (RFC 6154 §2).
const FOLDERS: [(&str, SpecialUse); 5] = [
    ("Drafts", SpecialUse::Drafts),
    ("Sent", SpecialUse::Sent),
    ("Junk", SpecialUse::Junk),
    ("Trash", SpecialUse::Trash),
    ("Archive", SpecialUse::Archive),
];

/// The account that is asked for.
pub(crate) fn new_info(id: AccountId, new: NewAccount, now_secs: i64) -> AccountInfo {
    AccountInfo {
        id,
        name: new.name,
        aliases: new.aliases,
        credentials_issued: CredentialId(u64::from(new.password.is_some())),
        password: new.password.map(|verifiers| MainPassword {
            id: CredentialId(1),
            verifiers,
        }),
        app_passwords: Vec::new(),
        may_act_as: ActAs::default(),
        display_name: new.display_name,
        enabled: true,
        quota: new.quota,
        created_secs: now_secs,
    }
}

/// The account after a change.
pub(crate) fn changed(
    info: &AccountInfo,
    change: AccountChange,
    now_secs: i64,
) -> Result<AccountInfo> {
    let mut info = info.clone();
    if let Some(aliases) = change.aliases {
        info.aliases = aliases;
    }
    for change in change.credentials {
        credential(&mut info, change, now_secs)?;
    }
    info.may_act_as = change.may_act_as.unwrap_or(info.may_act_as);
    if let Some(display_name) = change.display_name {
        info.display_name = display_name;
    }
    info.enabled = change.enabled.unwrap_or(info.enabled);
    info.quota = change.quota.unwrap_or(info.quota);
    Ok(info)
}

fn credential(info: &mut AccountInfo, change: CredentialChange, now_secs: i64) -> Result<()> {
    match change {
        CredentialChange::Password(verifiers) => {
            let id = issue(info);
            info.password = Some(MainPassword { id, verifiers });
        }
        CredentialChange::Kept { id, from, to } => {
            // Whoever changed the password meanwhile wins.
            if let Some(verifiers) = verifiers_mut(info, id)
                && *verifiers == from
            {
                *verifiers = to;
            }
        }
        CredentialChange::AddApp(new) => add_app(info, new, now_secs)?,
        CredentialChange::RevokeApp(name) => {
            let before = info.app_passwords.len();
            info.app_passwords.retain(|app| !app.is_named(&name));
            if info.app_passwords.len() == before {
                return Err(Error::NotFound(What::AppPassword));
            }
        }
        CredentialChange::Used(id, used) => {
            let app = info.app_passwords.iter_mut().find(|app| app.id == id);
            if let Some(app) = app {
                app.last_use = Some(used);
            }
        }
    }
    Ok(())
}

fn issue(info: &mut AccountInfo) -> CredentialId {
    info.credentials_issued.0 = info.credentials_issued.0.saturating_add(1);
    info.credentials_issued
}

fn verifiers_mut(info: &mut AccountInfo, id: CredentialId) -> Option<&mut Verifiers> {
    let main = info
        .password
        .iter_mut()
        .map(|it| (it.id, &mut it.verifiers));
    let apps = info.app_passwords.iter_mut();
    main.chain(apps.map(|it| (it.id, &mut it.verifiers)))
        .find(|(found, _)| *found == id)
        .map(|(_, verifiers)| verifiers)
}

fn add_app(info: &mut AccountInfo, new: NewAppPassword, now_secs: i64) -> Result<()> {
    if info.app_passwords.iter().any(|app| app.is_named(&new.name)) {
        return Err(Error::AlreadyExists(What::AppPassword));
    } else if info.app_passwords.len() >= APP_PASSWORDS_MAX {
        return Err(Error::Limit("app passwords of an account"));
    }
    let id = issue(info);
    info.app_passwords.push(AppPassword {
        id,
        name: new.name,
        verifiers: new.verifiers,
        selector: new.selector,
        scopes: new.scopes,
        created_secs: now_secs,
        expires_secs: new.expires_secs,
        last_use: None,
    });
    Ok(())
}

/// The mailboxes of a new account, all subscribed.
pub(crate) fn first_tree(context: &Context, issuer: &mut dyn Issuer) -> Result<TreeChange> {
    let mut change = TreeChange {
        tree: Tree::default(),
        records: Vec::new(),
        created: Vec::new(),
    };
    change.create(context, &MailboxName::inbox(), &[], issuer)?;
    for (name, special_use) in FOLDERS {
        if let Ok(name) = MailboxName::new(name) {
            change.create(context, &name, &[special_use], issuer)?;
        }
    }
    let names: Vec<MailboxName> = change.created.iter().map(|i| i.name.clone()).collect();
    for name in names {
        let subscribed = super::names::subscribe(context, &change.tree, &name, Subscription::On)?;
        if let Some(TreeChange { tree, records, .. }) = subscribed {
            change.tree = tree;
            change.records.extend(records);
        }
    }
    Ok(change)
}

/// The names of an account as they are compared: in lower case.
pub(crate) fn names(info: &AccountInfo) -> impl Iterator<Item = String> {
    std::iter::once(&info.name)
        .chain(&info.aliases)
        .map(|name| fold(name))
}

/// A name as it is compared.
pub(crate) fn fold(name: &str) -> String {
    name.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::{LastUse, Scope};

    fn kept(hash: &str) -> Verifiers {
        Verifiers {
            hash: hash.into(),
            scram: None,
        }
    }

    fn you() -> AccountInfo {
        let new = NewAccount {
            name: "You@Localhost".into(),
            aliases: vec!["y@localhost".into()],
            password: Some(kept("x")),
            display_name: "You".into(),
            quota: crate::Quota::default(),
        };
        new_info(AccountId::MIN, new, 7)
    }

    fn with(info: &AccountInfo, credentials: Vec<CredentialChange>) -> Result<AccountInfo> {
        let change = AccountChange {
            credentials,
            ..AccountChange::default()
        };
        changed(info, change, 9)
    }

    fn app(name: &str) -> CredentialChange {
        CredentialChange::AddApp(NewAppPassword {
            name: name.into(),
            verifiers: kept(name),
            selector: "abcd".into(),
            scopes: [Scope::Imap].into_iter().collect(),
            expires_secs: None,
        })
    }

    #[test]
    fn a_change_leaves_what_it_does_not_name() {
        let info = you();
        let change = AccountChange {
            enabled: Some(false),
            ..AccountChange::default()
        };
        let after = changed(&info, change, 8).unwrap();
        assert_eq!(
            after,
            AccountInfo {
                enabled: false,
                ..info
            }
        );
        assert_eq!(names(&after).next().as_deref(), Some("you@localhost"));
    }

    #[test]
    fn each_credential_has_an_id_of_its_own() {
        let info = with(&you(), vec![app("phone"), app("tablet")]).unwrap();
        assert_eq!(
            with(&info, vec![app("phone")]),
            Err(Error::AlreadyExists(What::AppPassword))
        );
        let revoke = CredentialChange::RevokeApp("tablet".into());
        let info = with(&info, vec![revoke.clone()]).unwrap();
        assert_eq!(
            with(&info, vec![revoke]),
            Err(Error::NotFound(What::AppPassword))
        );
        let password = CredentialChange::Password(kept("y"));
        let info = with(&info, vec![app("tablet"), password]).unwrap();
        let apps = info.app_passwords.iter().map(|app| app.id.0);
        assert_eq!(apps.collect::<Vec<_>>(), [2, 4]);
        assert_eq!(info.password.unwrap().id, CredentialId(5));
    }

    #[test]
    fn keeping_a_password_in_another_way_loses_to_its_change() {
        let id = CredentialId(1);
        let rekept = |from, to| CredentialChange::Kept { id, from, to };
        let info = with(&you(), vec![rekept(kept("x"), kept("x2"))]).unwrap();
        assert_eq!(info.password.as_ref().unwrap().verifiers, kept("x2"));
        assert_eq!(info.password.as_ref().unwrap().id, id);
        assert_eq!(
            with(&info, vec![rekept(kept("x"), kept("x3"))]),
            Ok(info.clone())
        );
        let changed = with(&info, vec![CredentialChange::Password(kept("x2"))]).unwrap();
        let late = with(&changed, vec![rekept(kept("x2"), kept("x4"))]);
        assert_eq!(late, Ok(changed));
    }

    #[test]
    fn a_use_is_noted_and_there_are_not_too_many_app_passwords() {
        let many = (0..APP_PASSWORDS_MAX)
            .map(|n| app(&n.to_string()))
            .collect();
        let info = with(&you(), many).unwrap();
        let full = Err(Error::Limit("app passwords of an account"));
        assert_eq!(with(&info, vec![app("more")]), full);
        let used = LastUse {
            secs: 10,
            place: "192.0.2.1".into(),
            scope: Scope::Imap,
        };
        let note = |id| CredentialChange::Used(CredentialId(id), used.clone());
        let info = with(&info, vec![note(2), note(1_000)]).unwrap();
        assert_eq!(info.app_passwords[0].last_use, Some(used));
        assert_eq!(info.app_passwords[1].last_use, None);
    }
}
