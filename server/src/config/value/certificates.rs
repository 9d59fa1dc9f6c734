//! The setting that names further certificates: a map of objects, one of whose fields is secret.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Bounds, Password, Raw, Setting};

/// Certificates by a label of the operator's choice, as Kestrel writes them: under each label
/// `Path`, and `KeyPath` and `Password` where they are needed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateFiles(pub BTreeMap<String, CertificateSource>);

/// What was given under one label: fields and their values.
type Fields<'a> = Vec<(&'a str, &'a str)>;

/// Where a certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateSource {
    /// PEM or PKCS#12.
    pub path: PathBuf,
    /// The key in PEM, when it is not in `path`.
    pub key_path: Option<PathBuf>,
    /// The password of a PKCS#12 file.
    pub password: Option<Password>,
}

impl CertificateFiles {
    /// From the fields that were given under one label.
    fn file(label: &str, fields: &[(&str, &str)]) -> Result<CertificateSource, String> {
        let (mut path, mut key_path, mut password) = (None, None, None);
        for (field, value) in fields {
            let trimmed = value.trim();
            match field.to_ascii_lowercase().as_str() {
                "path" if !trimmed.is_empty() => path = Some(PathBuf::from(trimmed)),
                "keypath" => key_path = (!trimmed.is_empty()).then(|| PathBuf::from(trimmed)),
                // Spaces at the ends may belong to a password.
                "password" => {
                    password = (!value.is_empty()).then(|| Password::new((*value).to_owned()));
                }
                "path" => {}
                _ => return Err(format!("has {label}:{field}, which is not known")),
            }
        }
        let path = path.ok_or_else(|| format!("has {label} without {label}:Path"))?;
        Ok(CertificateSource {
            path,
            key_path,
            password,
        })
    }
}

impl Setting for CertificateFiles {
    fn allowed(_: &Bounds) -> String {
        "under names of your choice `Path`, and `KeyPath` and `Password` where needed, as \
         `Certificates:shop:Path`"
            .to_owned()
    }

    fn parse(text: &str, _: &Bounds) -> Result<Self, String> {
        match text {
            "" => Ok(Self::default()),
            _ => Err("is an object, not one value".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.0.keys().cloned().collect::<Vec<_>>().join(", ")
    }

    fn show_entry(name: &str, value: &str) -> String {
        match name.to_ascii_lowercase().ends_with(":password") {
            true => "***".to_owned(),
            false => value.trim().to_owned(),
        }
    }

    fn read(raw: &Raw, bounds: &Bounds) -> Result<Self, String> {
        let Raw::Items(items) = raw else {
            return match raw {
                Raw::Text(text) => Self::parse(text.trim(), bounds),
                _ => Ok(Self::default()),
            };
        };
        labelled(items, Self::file).map(Self)
    }
}

/// A map of objects under labels of the operator's choice, each made of its fields by `make`.
pub(super) fn labelled<T>(
    items: &[(String, String)],
    make: impl Fn(&str, &[(&str, &str)]) -> Result<T, String>,
) -> Result<BTreeMap<String, T>, String> {
    let mut labels: BTreeMap<String, (&str, Fields<'_>)> = BTreeMap::new();
    for (name, value) in items {
        let (label, field) = name
            .rsplit_once(':')
            .ok_or_else(|| format!("has {name:?} without the name of a field"))?;
        // Labels are the same in any case, as all keys.
        let fields = labels.entry(label.to_ascii_lowercase());
        fields.or_insert((label, Vec::new())).1.push((field, value));
    }
    labels
        .into_values()
        .map(|(label, fields)| Ok((label.to_owned(), make(label, &fields)?)))
        .collect()
}
