//! What of the activity is shown, as links and a form: both are addresses.

use leptos::prelude::*;

use crate::egress::{Address, FILTERS};

/// The filters.
#[component]
pub fn Filters(
    /// What is shown.
    address: Address,
) -> impl IntoView {
    let links = FILTERS.map(|(_, show, name)| {
        let current = address.show == show;
        let href = Address {
            show: show.to_owned(),
            page: String::new(),
            ..address.clone()
        };
        view! {
            <a class="button small" href=href.href() aria-current=current.then_some("true")>
                {name}
            </a>
        }
    });
    let show = (!address.show.is_empty())
        .then(|| view! { <input type="hidden" name="show" value=address.show.clone() /> });
    let action = format!("/workspaces/{}/activity", address.workspace_id);
    view! {
        <div class="filters">
            <nav class="filter-kinds" aria-label="Which entries">
                {links.into_iter().collect_view()}
            </nav>
            <form class="activity-host" action=action method="get">
                {show}
                <label class="for-readers" for="host">"Host"</label>
                <input
                    class="input"
                    id="host"
                    name="host"
                    type="search"
                    placeholder="Only this host"
                    autocomplete="off"
                    value=address.host.clone()
                />
            </form>
        </div>
    }
    .into_any()
}
