//! What a page does, as a command line.

use leptos::prelude::*;

/// A call of a method from a terminal, with a line that says so.
#[component]
pub fn FromTerminal(
    /// Service and method.
    method: &'static str,
    /// The request in JSON.
    #[prop(into)]
    request: String,
) -> impl IntoView {
    let request = request.replace('\'', "'\\''");
    let command = format!(
        "buf curl --protocol grpc --http2-prior-knowledge \\\n  \
         -H 'authorization: Bearer <your-token>' \\\n  \
         -d '{request}' \\\n  \
         http://127.0.0.1:3000/membrane.v1.{method}"
    );
    view! {
        <p class="quiet">"The same from a terminal, with an API token from your account page:"</p>
        <pre class="command" tabindex="0">
            <code>{command}</code>
        </pre>
    }
    .into_any()
}
