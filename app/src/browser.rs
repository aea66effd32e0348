//! What only a browser can do. Everything here is called from effects and event handlers, which
//! never run on the server; it compiles there so that both builds are checked alike.

use std::time::Duration;

use futures::channel::oneshot;
use js_sys::Reflect;
use leptos::prelude::{document, set_timeout, window};
use wasm_bindgen::{JsCast as _, JsValue, closure::Closure};
use wasm_bindgen_futures::JsFuture;

/// Seconds since 1970, by the browser's clock.
pub fn now() -> i64 {
    (js_sys::Date::now() / 1_000.0) as i64
}

/// A number from 0 to 1 that spreads what many browsers would otherwise do at once.
pub fn jitter() -> f64 {
    js_sys::Math::random()
}

/// Waits.
pub async fn sleep(time: Duration) {
    let (done, wait) = oneshot::channel();
    set_timeout(
        move || {
            let _ = done.send(());
        },
        time,
    );
    // A dropped sender means that the page goes away.
    let _ = wait.await;
}

/// A new UUID, so that a call that is tried again does its work once. Not `randomUUID`, which
/// browsers keep from pages on plain http.
pub fn request_id() -> String {
    let mut bytes = [0_u8; 16];
    let filled = window()
        .crypto()
        .is_ok_and(|crypto| crypto.get_random_values_with_u8_array(&mut bytes).is_ok());
    if !filled {
        bytes.fill_with(|| (jitter() * 256.0) as u8);
    }
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

/// Puts text on the clipboard. Says whether it did: pages on plain http have none.
pub async fn copy(text: &str) -> bool {
    let navigator = window().navigator();
    let clipboard = Reflect::get(&navigator, &JsValue::from_str("clipboard"));
    if clipboard.map_or(true, |clipboard| clipboard.is_undefined()) {
        return false;
    }
    JsFuture::from(navigator.clipboard().write_text(text))
        .await
        .is_ok()
}

/// Whether somebody asked the browser to load no more than it must. Not every browser says so.
pub fn saves_data() -> bool {
    let navigator = window().navigator();
    let connection = Reflect::get(&navigator, &JsValue::from_str("connection"));
    let saves = connection.and_then(|it| Reflect::get(&it, &JsValue::from_str("saveData")));
    saves.is_ok_and(|saves| saves.is_truthy())
}

/// Sends JSON to a route of the server that is not gRPC. `None` if no answer came.
pub async fn post_json(path: &str, body: &str) -> Option<(u16, String)> {
    let init = web_sys::RequestInit::new();
    init.set_method("POST");
    init.set_body(&JsValue::from_str(body));
    let headers = web_sys::Headers::new().ok()?;
    headers.set("content-type", "application/json").ok()?;
    init.set_headers(&headers);
    let request = web_sys::Request::new_with_str_and_init(path, &init).ok()?;
    let answer = JsFuture::from(window().fetch_with_request(&request))
        .await
        .ok()?;
    let answer: web_sys::Response = answer.dyn_into().ok()?;
    let text = JsFuture::from(answer.text().ok()?).await.ok()?;
    Some((answer.status(), text.as_string().unwrap_or_default()))
}

/// Replaces the address without loading anything and without a step in the history.
pub fn replace_address(address: &str) {
    if let Ok(history) = window().history() {
        let _ = history.replace_state_with_url(&JsValue::NULL, "", Some(address));
    }
}

/// Adds a step with this address to the history without loading anything.
pub fn push_address(address: &str) {
    if let Ok(history) = window().history() {
        let _ = history.push_state_with_url(&JsValue::NULL, "", Some(address));
    }
}

/// Asks a question that is answered by yes or no. What can't be asked is answered by no.
pub fn confirm(question: &str) -> bool {
    window().confirm_with_message(question).unwrap_or(false)
}

/// Loads another page of the server, in place of this one in the history.
pub fn go(address: &str) {
    let _ = window().location().replace(address);
}

/// Listens to an event for as long as the page lives.
pub fn listen(target: &web_sys::EventTarget, name: &str, act: impl Fn() + 'static) {
    let act = Closure::<dyn Fn()>::new(act);
    let _ = target.add_event_listener_with_callback(name, act.as_ref().unchecked_ref());
    act.forget();
}

/// Whether nobody sees the page. Timers of such a page may run once a minute only.
pub fn is_hidden() -> bool {
    document().hidden()
}

/// Whether the browser says that it has no network. It may have the server for all that, when both
/// are on one machine.
pub fn is_offline() -> bool {
    !window().navigator().on_line()
}

/// The page's local storage; none where the browser refuses it.
pub fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}

/// The element that an event's handler is attached to or was fired at, if it is of this type.
pub fn target<T: wasm_bindgen::JsCast>(event: &web_sys::Event) -> Option<T> {
    event.target()?.dyn_into().ok()
}

/// The form that was submitted and what is in it. It is not sent as browsers do by themselves.
pub fn submitted(
    event: &web_sys::SubmitEvent,
) -> Option<(web_sys::HtmlFormElement, web_sys::FormData)> {
    event.prevent_default();
    let form = target::<web_sys::HtmlFormElement>(event)?;
    let data = web_sys::FormData::new_with_form(&form).ok()?;
    Some((form, data))
}

/// The text of one field of a form; empty if there is no such field.
pub fn field(form: &web_sys::FormData, name: &str) -> String {
    form.get(name).as_string().unwrap_or_default()
}

/// The IANA name of the zone that the browser's clock shows.
pub fn time_zone() -> Option<String> {
    let format = js_sys::Intl::DateTimeFormat::default();
    let zone = Reflect::get(&format.resolved_options(), &JsValue::from_str("timeZone"));
    zone.ok()?.as_string()
}
