//! The reader for whom a template is being rendered. Values and filters see only what may go to other threads;
//! the formatters of a locale may not. So the reader waits here meanwhile.

use std::cell::RefCell;
use std::rc::Rc;

use crate::domain::locale::locale::RecipientLocale;
use crate::domain::value::moment::FormatError;

thread_local! {
    static READER: RefCell<Option<Rc<RecipientLocale>>> = const { RefCell::new(None) };
    static FAULT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Renders something for a reader. A value that is printed cannot fail: what is wrong with it comes back here.
pub fn reading<T>(reader: &Rc<RecipientLocale>, render: impl FnOnce() -> T) -> (T, Option<String>) {
    READER.set(Some(reader.clone()));
    FAULT.set(None);
    let rendered = render();
    READER.set(None);
    (rendered, FAULT.take())
}

/// What the reader makes of it.
pub fn read(
    show: impl FnOnce(&RecipientLocale) -> Result<String, FormatError>,
) -> Result<String, String> {
    let reader = READER.with_borrow(Clone::clone).ok_or("nobody reads this")?;
    show(&reader).map_err(|error| error.to_string())
}

/// Notes what is wrong with a value that is printed; the first fault counts.
pub fn note_fault(what: impl Into<String>) {
    FAULT.with_borrow_mut(|fault| {
        fault.get_or_insert_with(|| what.into());
    });
}
