//! The editor's module in the browser: fetched when a page edits, and what can be asked of it.

use js_sys::{Array, Function, Object, Promise, Reflect};
use leptos::prelude::*;
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast as _, JsValue, prelude::Closure};
use wasm_bindgen_futures::JsFuture;

use crate::api::ApiError;

/// How pages get at the module.
#[derive(Clone, Copy)]
pub struct EditorModule(StoredValue<SendWrapper<Function>>);

impl EditorModule {
    /// Tells all pages how to fetch it: by a function that promises the module.
    pub fn provide(fetch: Function) {
        provide_context(Self(StoredValue::new(SendWrapper::new(fetch))));
    }

    /// Fetches it, or gives what was fetched before.
    ///
    /// # Errors
    ///
    /// When it did not come.
    pub(crate) async fn fetch(self) -> Result<Module, ApiError> {
        let module = self.module().await.ok_or_else(not_there)?;
        Ok(Module(module))
    }

    async fn module(self) -> Option<JsValue> {
        let promise = self.0.try_with_value(|fetch| fetch.call0(&JsValue::NULL))?;
        let promise: Promise = promise.ok()?.dyn_into().ok()?;
        JsFuture::from(promise).await.ok()
    }
}

fn not_there() -> ApiError {
    ApiError::local(
        "EDITOR_NOT_LOADED",
        "The editor could not be loaded. Load the page again.",
    )
}

/// What an editor is told when it is made.
pub(crate) struct Options {
    pub text: String,
    pub path: String,
    pub label: String,
    pub readonly: bool,
    /// Called with whether the text differs from what was set or saved last.
    pub on_change: Box<dyn FnMut(bool)>,
    /// Called when the keys for saving are pressed.
    pub on_save: Box<dyn FnMut()>,
}

/// The module.
pub(crate) struct Module(JsValue);

impl Module {
    /// Puts an editor into an element.
    pub(crate) fn editor(&self, parent: &JsValue, options: Options) -> Result<Editor, ApiError> {
        let on_change = Closure::new(options.on_change);
        let on_save = Closure::new(options.on_save);
        let given = object(&[
            ("text", options.text.into()),
            ("path", options.path.into()),
            ("label", options.label.into()),
            ("readonly", options.readonly.into()),
            ("onChange", on_change.as_ref().clone()),
            ("onSave", on_save.as_ref().clone()),
        ]);
        let handle = self.call("mount", parent, &given)?;
        Ok(Editor {
            handle,
            _on_change: Some(on_change),
            _on_save: Some(on_save),
        })
    }

    /// Puts a view of two texts into an element, of which mine can be edited.
    pub(crate) fn conflict(
        &self,
        parent: &JsValue,
        path: &str,
        mine: &str,
        theirs: &str,
    ) -> Result<Editor, ApiError> {
        let given = object(&[
            ("path", path.into()),
            ("mine", mine.into()),
            ("theirs", theirs.into()),
        ]);
        let handle = self.call("mountConflict", parent, &given)?;
        Ok(Editor {
            handle,
            _on_change: None,
            _on_save: None,
        })
    }

    fn call(&self, name: &str, parent: &JsValue, given: &Object) -> Result<JsValue, ApiError> {
        let made =
            method(&self.0, name).and_then(|mount| mount.call2(&JsValue::NULL, parent, given).ok());
        made.ok_or_else(not_there)
    }
}

/// One editor, or the editable part of a conflict. It goes when this is dropped.
pub(crate) struct Editor {
    handle: JsValue,
    _on_change: Option<Closure<dyn FnMut(bool)>>,
    _on_save: Option<Closure<dyn FnMut()>>,
}

impl Editor {
    /// Its text, which the next [`Editor::saved`] is about.
    pub(crate) fn text(&self) -> Option<String> {
        self.call("text", None)?.as_string()
    }

    /// Says that the text that was taken last is stored.
    pub(crate) fn saved(&self) {
        self.call("saved", None);
    }

    /// Replaces the text by one that is stored.
    pub(crate) fn set(&self, text: &str) {
        self.call("set", Some(text.into()));
    }

    /// Moves the keyboard there.
    pub(crate) fn focus(&self) {
        self.call("focus", None);
    }

    /// Goes to a line, counted from 1.
    pub(crate) fn go_to(&self, line: u32) {
        self.call("goTo", Some(line.into()));
    }

    fn call(&self, name: &str, argument: Option<JsValue>) -> Option<JsValue> {
        let arguments: Array = argument.into_iter().collect();
        method(&self.handle, name)?
            .apply(&self.handle, &arguments)
            .ok()
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        self.call("destroy", None);
    }
}

fn method(of: &JsValue, name: &str) -> Option<Function> {
    Reflect::get(of, &name.into()).ok()?.dyn_into().ok()
}

fn object(fields: &[(&str, JsValue)]) -> Object {
    let object = Object::new();
    for (name, value) in fields {
        // Setting a field of a plain object does not fail.
        let _ = Reflect::set(&object, &(*name).into(), value);
    }
    object
}
