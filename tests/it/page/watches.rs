//! What is watched, and what a change would say.

use crate::harness::{READ_TOKEN, World};
use crate::page::browser::{Browser, PAGE, Served};

/// The rules stand there as they are configured; a row, or an invented change of it, is previewed in the words that its
/// recipient would read, and nothing is sent.
#[tokio::test]
async fn a_change_is_previewed_before_anybody_makes_it() {
    let mut world = World::with_settings(PAGE).await;
    let served = Served::of(&world).await;
    let browser = Browser::of(&served, "Ana", READ_TOKEN).await;
    assert!(browser.get("/watches").await.has("href=\"/watches/home_delivery\""));
    let path = "/watches/home_delivery";
    let seen = browser.get(path).await;
    for text in
        ["If any of window_start, window_end changed:", "Nuevo horario", "from customer c where"]
    {
        assert!(seen.has(text), "{text}: {}", seen.text);
    }
    let token = seen.hidden("form_token");
    let token = ("form_token", token.as_str());
    let asked = [("key", "1"), ("set.address", "9 Elm <b>Street</b>"), token];
    let seen = browser.post(path, &asked).await;
    assert!(
        seen.has("9 Elm &lt;b&gt;Street&lt;/b&gt;") && seen.has("class=\"bubble\""),
        "{}",
        seen.text
    );
    assert!(seen.has("M…") && !seen.has("Maria"), "{}", seen.text);
    let seen = browser.post(path, &[("key", "1"), token]).await;
    assert!(seen.has("It would not leave now: no_net_change"), "{}", seen.text);
    let seen = browser.post(path, &[("key", "77"), token]).await;
    assert!(seen.has("there is no row 77 in public.delivery"), "{}", seen.text);
    assert_eq!(browser.get("/watches/other").await.status.as_u16(), 404);
    world.settle().await;
    assert!(world.sandbox.all_seen().is_empty(), "nothing is sent");
}
