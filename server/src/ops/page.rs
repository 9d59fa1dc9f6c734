//! The files of the status page, as they stand beside this one: nothing is built, and nothing is
//! asked of other servers.

/// A file that a page names.
pub(super) struct Asset {
    /// Its path.
    pub(super) path: &'static str,
    /// Its media type.
    pub(super) kind: &'static str,
    /// What is in it.
    pub(super) body: &'static str,
}

/// Files without anything secret in them: the form for the token needs some.
pub(super) const ASSETS: [Asset; 6] = [
    Asset {
        path: "/page.css",
        kind: "text/css; charset=utf-8",
        body: include_str!("page/page.css"),
    },
    Asset {
        path: "/page.js",
        kind: "text/javascript; charset=utf-8",
        body: include_str!("page/page.js"),
    },
    Asset {
        path: "/format.js",
        kind: "text/javascript; charset=utf-8",
        body: include_str!("page/format.js"),
    },
    Asset {
        path: "/chart.js",
        kind: "text/javascript; charset=utf-8",
        body: include_str!("page/chart.js"),
    },
    Asset {
        path: "/table.js",
        kind: "text/javascript; charset=utf-8",
        body: include_str!("page/table.js"),
    },
    Asset {
        path: "/icon.svg",
        kind: "image/svg+xml",
        body: include_str!("page/icon.svg"),
    },
];

/// The page.
pub(super) const PAGE: &str = include_str!("page/index.html");
/// The form for the token.
pub(super) const SIGN_IN: &str = include_str!("page/sign-in.html");

/// The form, after another token was shown.
pub(super) fn sign_in_again() -> String {
    SIGN_IN.replace(
        r#"aria-describedby="hint">"#,
        "aria-invalid=\"true\" aria-describedby=\"wrong\">\n\
         <p class=\"wrong\" id=\"wrong\" role=\"alert\">That is another token.</p>",
    )
}
