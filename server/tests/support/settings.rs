//! Settings of a server under test, each as `Section:Key=value`.

/// Sets these, each instead of one of the same key.
pub(crate) fn set_instead(settings: &mut Vec<String>, set: &[&str]) {
    for setting in set {
        let key = setting.split_once('=').unwrap().0;
        settings.retain(|old| old.split_once('=').unwrap().0 != key);
        settings.push((*setting).to_owned());
    }
}
