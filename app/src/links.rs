//! Links that are followed without the router, which decodes an address before it goes there: a
//! name with a percent sign or a backslash would be another one.

use leptos::prelude::*;
use web_sys::{Element, MouseEvent};

use crate::browser;

/// The address that a click asks for, if it is one of this console; the click is done with, then.
pub fn followed(event: &MouseEvent) -> Option<String> {
    let plain = !(event.ctrl_key() || event.meta_key() || event.shift_key() || event.alt_key());
    if !plain || event.button() != 0 || event.default_prevented() {
        return None;
    }
    let clicked = browser::target::<Element>(event);
    let link = clicked.and_then(|clicked| clicked.closest("a[href]").ok().flatten());
    let link = link.filter(|link| !link.has_attribute("rel"))?;
    let address = link.get_attribute("href").unwrap_or_default();
    event.prevent_default();
    if address.starts_with('#') {
        let location = window().location();
        let here = location.pathname().unwrap_or_default();
        let query = location.search().unwrap_or_default();
        return Some(here + &query + &address);
    }
    Some(address)
}
