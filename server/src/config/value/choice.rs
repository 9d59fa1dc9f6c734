//! Settings that are one of a few words.

use super::{Bounds, Setting};

/// A setting that is one of a few words.
macro_rules! choice {
    ($(#[doc = $about:literal])+ $name:ident { $($(#[doc = $doc:literal])+ $variant:ident),+ $(,)? }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[doc = $doc])+ $variant),+ }

        impl Setting for $name {
            fn allowed(_: &Bounds) -> String {
                [$(stringify!($variant)),+].join(", ")
            }

            fn parse(text: &str, _: &Bounds) -> Result<Self, String> {
                $(if text.eq_ignore_ascii_case(stringify!($variant)) {
                    return Ok(Self::$variant);
                })+
                Err("is not one of the allowed words".to_owned())
            }

            fn show(&self) -> String {
                format!("{self:?}")
            }
        }
    };
}

choice! {
    /// Who may log in without TLS.
    AllowPlaintextAuth {
        /// Only peers on this machine: both ends of the socket are loopback addresses.
        Loopback,
        /// Nobody.
        Never,
        /// Everybody; passwords then cross the network readable.
        Always,
    }
}

choice! {
    /// Who knows the passwords.
    AuthBackend {
        /// This server's accounts.
        Own,
        /// A file, as Dovecot's passwd-file.
        PasswdFile,
        /// A program with the checkpassword interface.
        Command,
        /// A directory.
        Ldap,
    }
}

choice! {
    /// Which names in a client certificate are accounts.
    CertificateName {
        /// The mail addresses.
        Email,
        /// The common name.
        CommonName,
        /// The mail addresses, or the common name if there are none.
        EmailOrCommonName,
    }
}

choice! {
    /// How log lines look.
    LogFormat {
        /// Text for people.
        Human,
        /// One JSON object a line.
        Json,
    }
}

choice! {
    /// How telemetry is sent, in OpenTelemetry's words `grpc` and `http/protobuf`.
    OtlpProtocol {
        /// Over gRPC.
        Grpc,
        /// Over HTTP/1.1.
        HttpProtobuf,
    }
}

choice! {
    /// The least severe message that is logged, in .NET's words.
    LogLevel {
        /// Everything.
        Trace,
        /// What helps to find a fault.
        Debug,
        /// What a running server tells.
        Information,
        /// What may need attention.
        Warning,
        /// What failed.
        Error,
        /// What ends the program.
        Critical,
        /// Nothing.
        None,
    }
}
