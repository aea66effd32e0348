//! Every icon of the console, drawn for it on a grid of 16 with strokes of 1.5.

use leptos::prelude::*;

/// Which icon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say what they show")]
pub enum Icon {
    Account,
    Activity,
    ArrowDown,
    ArrowUp,
    Attach,
    Changes,
    Check,
    Checklist,
    Chevron,
    Circle,
    Clock,
    Copy,
    Cross,
    Cube,
    Download,
    Expand,
    Eye,
    File,
    FilePlus,
    Folder,
    Globe,
    Info,
    Key,
    Link,
    Moon,
    More,
    Pencil,
    Plug,
    Plus,
    Retry,
    Screen,
    Search,
    Sessions,
    Settings,
    Shield,
    Snapshot,
    Stop,
    Sun,
    Terminal,
    Thought,
    Trash,
    Undo,
    Upload,
    Warning,
    Workspaces,
}

impl Icon {
    fn path(self) -> &'static str {
        match self {
            Self::Account => {
                "M8 8.5a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM2.5 14c.7-2.3 2.8-3.5 5.5-3.5s4.8 1.2 5.5 3.5"
            }
            Self::Activity => "M1.5 8h3l2-5 3 10 2-5h3",
            Self::ArrowDown => "M8 3v10M3.8 8.8 8 13l4.2-4.2",
            Self::ArrowUp => "M8 13V3M3.8 7.2 8 3l4.2 4.2",
            Self::Attach => {
                "M13.2 7.3 8 12.5a3 3 0 0 1-4.3-4.2l5.6-5.6a2 2 0 0 1 2.9 2.8l-5.6 5.6a1 1 0 0 1-1.4-1.4l4.9-4.9"
            }
            Self::Changes => "M8 2.5v6M5 5.5h6M5 12.5h6",
            Self::Check => "m3 8.5 3.3 3.3L13 4.7",
            Self::Checklist => "m2 4.3 1.3 1.3L5.5 3M2 11.3l1.3 1.3 2.2-2.6M8.5 4.5H14M8.5 11.5H14",
            Self::Chevron => "m6 3.5 4.5 4.5L6 12.5",
            Self::Circle => "M8 13.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11Z",
            Self::Clock => "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 4.8V8l2.2 1.6",
            Self::Copy => "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
            Self::Cross => "m4 4 8 8M12 4l-8 8",
            Self::Cube => "m8 1.8 5.5 3v6.4l-5.5 3-5.5-3V4.8zM2.7 5 8 8l5.3-3M8 8v6",
            Self::Download => "M8 2.5v8M4.8 7.3 8 10.5l3.2-3.2M2.5 10v3.5h11V10",
            Self::Expand => "m4.5 5.5 3.5-3.5 3.5 3.5M4.5 10.5l3.5 3.5 3.5-3.5",
            Self::Eye => {
                "M1.5 8C3 5 5.3 3.5 8 3.5S13 5 14.5 8C13 11 10.7 12.5 8 12.5S3 11 1.5 8ZM8 9.8a1.8 1.8 0 1 0 0-3.6 1.8 1.8 0 0 0 0 3.6Z"
            }
            Self::File => "M3.5 1.8h5.7l3.3 3.3v9.1h-9zM9 2v3.3h3.3",
            Self::FilePlus => "M12.5 7V5.1L9.2 1.8H3.5v12.4H7M9 2v3.3h3.3M11.5 9.5v5M9 12h5",
            Self::Folder => "M1.8 12.8V3.2h4.4l1.6 2h6.4v7.6z",
            Self::Globe => {
                "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM2 8h12M8 2c-2 1.8-2.7 3.7-2.7 6S6 12.2 8 14c2-1.8 2.7-3.7 2.7-6S10 3.8 8 2Z"
            }
            Self::Info => "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 7.3v3.5M8 5v.1",
            Self::Key => "M5.5 13.5a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM7.7 8.3l5.8-5.8M11 5l2 2",
            Self::Link => {
                "M6.8 9.2a2.6 2.6 0 0 0 3.8 0l2.3-2.3a2.7 2.7 0 0 0-3.8-3.8L8 4.2M9.2 6.8a2.6 2.6 0 0 0-3.8 0L3.1 9.1a2.7 2.7 0 0 0 3.8 3.8L8 11.8"
            }
            Self::Moon => "M13.5 9.5A6 6 0 0 1 6.5 2.5a6 6 0 1 0 7 7Z",
            Self::More => "M3.5 8v.1M8 8v.1M12.5 8v.1",
            Self::Pencil => "m2.5 13.5.7-3L11 2.7l2.3 2.3-7.8 7.8zM9.5 4.2l2.3 2.3",
            Self::Plug => "M5.5 2v3.5M10.5 2v3.5M3.5 5.5h9V8a4.5 4.5 0 0 1-9 0zM8 12.5V15",
            Self::Plus => "M8 3v10M3 8h10",
            Self::Retry => "M13 8a5 5 0 1 1-1.6-3.7L13 5.8M13 2.5v3.3H9.7",
            Self::Screen => "M1.8 3h12.4v8H1.8zM5.5 13.8h5M8 11v2.8",
            Self::Search => "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9ZM10.3 10.3 14 14",
            Self::Sessions => "M2 3h12v8H7.5L4.5 13.5V11H2z",
            Self::Settings => {
                "M2 4.5h6M11.5 4.5H14M2 11.5h2.5M8 11.5h6M9.8 6.2a1.7 1.7 0 1 0 0-3.4 1.7 1.7 0 0 0 0 3.4ZM6.2 13.2a1.7 1.7 0 1 0 0-3.4 1.7 1.7 0 0 0 0 3.4Z"
            }
            Self::Shield => "M8 1.8 13 3.5V8c0 3-2 5.2-5 6.3C5 13.2 3 11 3 8V3.5z",
            Self::Snapshot => {
                "M2 5h2.8l1-1.5h4.4l1 1.5H14v8H2ZM8 11.3a2.4 2.4 0 1 0 0-4.8 2.4 2.4 0 0 0 0 4.8Z"
            }
            Self::Stop => "M4.5 4.5h7v7h-7z",
            Self::Sun => {
                "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1.1 1.1M11.9 11.9 13 13M13 3l-1.1 1.1M4.1 11.9 3 13"
            }
            Self::Terminal => "M1.8 2.8h12.4v10.4H1.8zM4.3 6l2.2 2-2.2 2M8 10.3h3.5",
            Self::Thought => {
                "M8 11.5a4.8 4.8 0 1 0-2.8-.9c.5.4.8.9.8 1.4h4c0-.5.3-1 .8-1.4M6.5 14.5h3"
            }
            Self::Trash => "M2.5 4.5h11M6 4.5V2.5h4v2M4 4.5l.7 9h6.6l.7-9",
            Self::Undo => "M5.5 3 2.5 6l3 3M2.8 6h6.7a4 4 0 0 1 0 8H6",
            Self::Upload => "M8 10.5V2.5M4.8 5.5 8 2.3l3.2 3.2M2.5 10v3.5h11V10",
            Self::Warning => "M8 2 14.5 13.5h-13zM8 6.5v3.3M8 11.8v.1",
            Self::Workspaces => {
                "M2.3 2.3h4.4v4.4H2.3zM9.3 2.3h4.4v4.4H9.3zM2.3 9.3h4.4v4.4H2.3zM9.3 9.3h4.4v4.4H9.3z"
            }
        }
    }
}

/// Draws an icon. It says nothing to screen readers: what it stands beside does.
#[component]
pub fn Glyph(
    /// Which one.
    #[prop(into)]
    icon: Signal<Icon>,
) -> impl IntoView {
    view! {
        <svg
            class="icon"
            viewBox="0 0 16 16"
            width="16"
            height="16"
            fill="none"
            stroke="currentColor"
            stroke-width="1.5"
            stroke-linecap="round"
            stroke-linejoin="round"
            aria-hidden="true"
            focusable="false"
        >
            <path d=move || icon.get().path()></path>
        </svg>
    }
    .into_any()
}

/// The product's mark: a boundary that lets through what it is told to.
#[component]
pub fn Mark() -> impl IntoView {
    view! {
        <svg class="mark" viewBox="0 0 32 32" width="22" height="22" aria-hidden="true" focusable="false">
            <rect class="mark-ground" width="32" height="32" rx="7"></rect>
            <path
                class="mark-line"
                d="M16 5.5a10.5 10.5 0 1 0 10.5 10.5"
                fill="none"
                stroke-width="2.4"
                stroke-linecap="round"
            ></path>
            <path
                class="mark-line"
                d="M20.2 5.9a10.5 10.5 0 0 1 5.9 5.9"
                fill="none"
                stroke-width="2.4"
                stroke-linecap="round"
                stroke-dasharray=".1 4.6"
            ></path>
            <circle class="mark-core" cx="16" cy="16" r="3.600"></circle>
        </svg>
    }
    .into_any()
}
