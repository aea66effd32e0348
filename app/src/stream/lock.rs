//! Web Locks: at most one tab of a browser holds a lock, and it is free when its tab closes, crashes
//! or goes elsewhere. Pages on plain http of another machine have none.

use futures::{
    FutureExt as _,
    channel::oneshot,
    future::{Either, select},
};
use js_sys::{Function, Object, Promise, Reflect};
use leptos::{prelude::window, task::spawn_local};
use wasm_bindgen::{JsCast as _, JsValue, closure::Closure};
use wasm_bindgen_futures::JsFuture;

/// A lock that is held; free when dropped.
pub struct Held {
    release: Function,
    settled: oneshot::Receiver<()>,
}

/// A request that has not been granted yet; withdrawn when dropped.
struct Asked {
    controller: web_sys::AbortController,
    granted: oneshot::Receiver<Function>,
    settled: oneshot::Receiver<()>,
}

/// Whether this browser has locks for this page.
pub fn is_there() -> bool {
    manager().is_some()
}

/// Waits for the lock, or takes it away from its holder. `None` where there are no locks.
pub async fn acquire(name: &str, steal: bool) -> Option<Held> {
    let mut asked = Asked::new(name, steal)?;
    let release = match select(&mut asked.granted, &mut asked.settled).await {
        Either::Left((granted, _)) => granted.ok()?,
        Either::Right(_) => return None,
    };
    let (_, never) = oneshot::channel();
    Some(Held {
        release,
        settled: std::mem::replace(&mut asked.settled, never),
    })
}

impl Held {
    /// Waits until another tab takes it away.
    pub async fn lost(&mut self) {
        (&mut self.settled).map(drop).await;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.release.call0(&JsValue::NULL);
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        // Does nothing once the lock is granted.
        self.controller.abort();
    }
}

impl Asked {
    fn new(name: &str, steal: bool) -> Option<Self> {
        let manager = manager()?;
        let controller = web_sys::AbortController::new().ok()?;
        let options = Object::new();
        let (option, value) = if steal {
            ("steal", JsValue::TRUE)
        } else {
            ("signal", controller.signal().into())
        };
        Reflect::set(&options, &option.into(), &value).ok()?;
        let (grant, granted) = oneshot::channel();
        let request: Function = get(&manager, "request")?;
        let answer = request.call3(&manager, &name.into(), &options, &on_grant(grant));
        let answer: Promise = answer.ok()?.dyn_into().ok()?;
        let (settle, settled) = oneshot::channel();
        spawn_local(async move {
            // Fails when the request is withdrawn, or the lock taken away.
            let _ = JsFuture::from(answer).await;
            let _ = settle.send(());
        });
        Some(Self {
            controller,
            granted,
            settled,
        })
    }
}

fn manager() -> Option<Object> {
    get(&window().navigator(), "locks")
}

fn get<T: wasm_bindgen::JsCast>(object: &JsValue, name: &str) -> Option<T> {
    Reflect::get(object, &name.into()).ok()?.dyn_into().ok()
}

/// The lock is held until the promise that this function returns is kept.
fn on_grant(grant: oneshot::Sender<Function>) -> JsValue {
    Closure::once_into_js(move || {
        let mut grant = Some(grant);
        Promise::new(&mut |release, _| {
            let unwanted = grant.take().map(|grant| grant.send(release));
            if let Some(Err(release)) = unwanted {
                let _ = release.call0(&JsValue::NULL);
            }
        })
    })
}
