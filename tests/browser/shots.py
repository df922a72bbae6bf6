"""The screenshot set: every page, light and dark, wide and narrow.

Of a running server: python -m tests.browser.shots FOLDER --url http://127.0.0.1:8000 --user NAME --password PASSWORD
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, BrowserContext, sync_playwright

WIDTHS = (1280, 390)
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def take(
    browser: Browser, url: str, cookies: list[dict[str, str]], pages: Iterable[tuple[str, str]], folder: Path
) -> None:
    """One PNG of the whole page for each (name, path), theme and width."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = list(pages)
    for theme in THEMES:
        for width in WIDTHS:
            context = browser.new_context(
                base_url=url,
                color_scheme=theme,
                viewport={"width": width, "height": 900},
                reduced_motion="reduce",
            )
            context.add_cookies([{**cookie, "url": url} for cookie in cookies])  # type: ignore[typeddict-item]
            for name, path in pages:
                shoot(context, path, folder / f"{name}-{theme}-{width}.png")
            context.close()


def shoot(context: BrowserContext, path: str, file: Path) -> None:
    page = context.new_page()
    page.goto(path)
    page.screenshot(path=file, full_page=True)
    page.close()


def pages_of(context: BrowserContext) -> list[tuple[str, str]]:
    """Every page that the overview and the list of runs lead to, and the forms in the admin."""
    page = context.new_page()
    page.goto("/")
    reviews = page.locator("a[href*='/review/']").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    page.goto("/runs/")
    runs = page.locator("tbody th a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    page.close()
    named = [
        ("home", "/"),
        ("runs", "/runs/"),
        ("promotion", "/promotion/"),
        ("mappings", "/admin/mappings/mapping/"),
        ("settings", "/admin/"),
    ]
    named += [(f"review-{number}", path) for number, path in enumerate(dict.fromkeys(reviews), 1)]
    mappings = dict.fromkeys(path.partition("review/")[0] for path in reviews)
    named += [(f"revisions-{number}", f"{path}revisions/") for number, path in enumerate(mappings, 1)]
    for path in runs[:5]:
        run = path.strip("/").replace("/", "-")
        named += [(run, path), (f"{run}-report", f"{path}report/"), (f"{run}-rollback", f"{path}rollback/")]
    return named


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--user", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    given = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=given.chromium, args=["--headless", "--no-sandbox"]
        )
        context = browser.new_context(base_url=given.url)
        page = context.new_page()
        page.goto("/")
        shoot(context, "/", given.folder / "sign-in.png")
        page.fill("#id_username", given.user)
        page.fill("#id_password", given.password)
        page.click("[type=submit]")
        cookies = [{"name": one["name"], "value": one["value"]} for one in context.cookies()]
        take(browser, given.url, cookies, pages_of(context), given.folder)
        browser.close()


if __name__ == "__main__":
    main()
