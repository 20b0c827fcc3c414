//! Finding a message, and reading its story: as support does it while the customer is on the phone.

use rowbell::postgres::operations::opt_outs::{self, OptOutEntry, OptOutGround, OptOutSource};

use crate::harness::{READ_TOKEN, World};
use crate::page::browser::{Browser, PAGE, Served};

/// Maria's and Juan's deliveries move.
async fn two_told() -> (World, Served, Browser) {
    let mut world = World::with_settings(PAGE).await;
    world.sql("update delivery set address = '2 New Street' where id = 1").await;
    world.sql("update delivery set address = 'Plaza Mayor 5' where id = 2").await;
    world.settle().await;
    let served = Served::of(&world).await;
    let browser = Browser::of(&served, "Ana", READ_TOKEN).await;
    (world, served, browser)
}

async fn id_of(world: &World, key: &str) -> String {
    world.value(&format!("select message_id from rowbell.message where entity_key = '{key}'")).await
}

/// Found by watch and key, by state, and by day; what does not fit is not shown, and what is no state is said so.
#[tokio::test]
async fn messages_are_found_by_what_is_known_of_them() {
    let (world, _served, browser) = two_told().await;
    let (maria, juan) = (id_of(&world, "1").await, id_of(&world, "2").await);
    let [maria, juan] = [maria, juan].map(|id| format!("href=\"/message/{id}\""));
    let today = world.now().strftime("%Y-%m-%d").to_string();
    for (query, finds) in [
        ("".to_owned(), [true, true]),
        ("?watch=home_delivery&key=1".to_owned(), [true, false]),
        ("?state=sent&reason=&day=".to_owned(), [true, true]),
        ("?state=failed".to_owned(), [false, false]),
        ("?reason=no_net_change".to_owned(), [false, false]),
        (format!("?day={today}"), [true, true]),
        ("?day=2001-01-01".to_owned(), [false, false]),
    ] {
        let seen = browser.get(&format!("/messages{query}")).await;
        assert_eq!([seen.has(&maria), seen.has(&juan)], finds, "{query}: {}", seen.text);
    }
    let seen = browser.get("/messages?state=lost").await;
    assert!(seen.status.as_u16() == 409 && seen.has("There is no state “lost”"), "{}", seen.text);
}

/// A phone is typed into a form, as people write it, and stands in no address. The list shows its last digits only.
#[tokio::test]
async fn a_message_is_found_by_phone() {
    let (world, _served, browser) = two_told().await;
    let seen = browser.submit("/messages", "/messages", &[("phone", "+34 612-345-678")]).await;
    let juan = format!("href=\"/message/{}\"", id_of(&world, "2").await);
    assert!(seen.has(&juan) && seen.has("…5678"), "{}", seen.text);
    assert!(!seen.has("612345678") && !seen.has("Juan") && !seen.has("…0001"), "{}", seen.text);
    assert!(!seen.has("is not written to"), "{}", seen.text);
    let seen = browser.submit("/messages", "/messages", &[("phone", "612 345 678")]).await;
    assert!(seen.has("cannot be read as a phone") && !seen.has("612"), "{}", seen.text);
}

/// Support sees at once why a customer hears nothing: of which watch, since when, who said so and from where.
#[tokio::test]
async fn what_a_phone_has_opted_out_of_stands_beside_its_messages() {
    let (world, _served, browser) = two_told().await;
    let ground = OptOutGround {
        source: OptOutSource::Operator,
        origin: Some("command of ana"),
        scope: "home_delivery",
    };
    let entry =
        OptOutEntry { phone: "34612345678".to_owned(), reason: Some("moved away".to_owned()) };
    opt_outs::add(&world.db, &[entry], ground, world.now()).await.unwrap();
    let seen = browser.submit("/messages", "/messages", &[("phone", "+34 612 345 678")]).await;
    assert!(seen.has("This phone is not written to about home_delivery, since"), "{}", seen.text);
    assert!(seen.has("operator, command of ana, moved away"), "{}", seen.text);
}

/// The story: from what to what, by whom, in which words, what became of it, by the clocks of both. Whose name it is
/// stays hidden until somebody asks; then it stands who asked.
#[tokio::test]
async fn a_message_is_read_as_its_story_and_asking_for_a_name_is_recorded() {
    let (world, _served, browser) = two_told().await;
    let path = format!("/message/{}", id_of(&world, "2").await);
    let seen = browser.get(&path).await;
    for text in [
        "Calle Mayor 1",
        "Plaza Mayor 5",
        "J…",
        "…5678",
        "by their clock",
        "Attempt 1: <strong>accepted",
    ] {
        assert!(seen.has(text), "{text}: {}", seen.text);
    }
    assert!(seen.has("class=\"bubble\" lang=\"es\""), "{}", seen.text);
    assert!(!seen.has("Juan") && !seen.has("34612345678"), "{}", seen.text);
    let shown = browser.submit(&path, &format!("{path}/shown"), &[]).await;
    assert!(shown.has("Juan") && shown.has("+34612345678"), "{}", shown.text);
    let who =
        "select decided_by || ': ' || kind || ' of ' || watch from rowbell_report.person_acts";
    assert_eq!(world.value(who).await, "Ana (page): shown of home_delivery");
    let seen = browser.get(&path).await;
    assert!(seen.has("<strong>Ana (page)</strong> asked to see name and phone"), "{}", seen.text);
    assert!(!seen.has("Juan"), "and nothing more is shown to the next");
    assert_eq!(browser.get("/message/999").await.status.as_u16(), 404);
}
