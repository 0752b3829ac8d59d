"""A report in headless Chromium: a click on a column, a filter, the pictures and what the pointer is told."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nglab.reporting.report_page import write_report
from nglab.runs.table import find_runs, read_run

webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs Chromium and its driver (chromium, chromium-driver)"
)
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
         "--window-size=1280,1600"]  # fmt: skip
WriteRun = Callable[..., Path]
NGD = {"name": "ngd", "lr": 1.0, "batch_size": 1000, "samples": 1, "damping": {"initial": 0.01}}


class Browser:
    """What a person does with the page."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements("css selector", selector))

    def column(self, key: str, table: str = "runs") -> list[str]:
        """The cells that are to be seen."""
        heads = [th.get_attribute("data-key") for th in self.all(f"#{table} thead th")]
        cells = self.all(f"#{table} tbody td:nth-child({heads.index(key) + 1})")
        return [cell.text for cell in cells if cell.is_displayed()]

    def sort_by(self, key: str) -> None:
        self.find(f'#runs th[data-key="{key}"] button').click()

    def filter(self, words: str) -> str:
        """Type, and read how many are left, or what is wrong."""
        field = self.find("#filter")
        field.clear()
        field.send_keys(words)
        return str(self.find("#filter-help").text)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield started
    started.quit()


@pytest.fixture
def browser(driver: Any, write_run: WriteRun, tmp_path: Path) -> Iterator[Browser]:
    """Rates 0.005, 0.01, 0.02 and 0.1 (diverged) of SGD, and NGD. Afterwards nothing has gone wrong in the page."""
    for i, (lr, loss) in enumerate([(0.005, 1.0), (0.01, 0.1), (0.02, 0.5), (0.1, float("inf"))]):
        status = "finished" if loss < 9 else "diverged"
        write_run(f"sgd-{i}", [4.0, 2.0, loss], {"optimizer.lr": lr}, status=status)
    write_run("ngd", [4.0, 1e-3, 1e-5], optimizer=NGD)
    out = tmp_path / "report.html"
    write_report(
        [read_run(folder) for folder in find_runs([tmp_path])], ["left out: <b>x</b>"], out
    )
    driver.get(out.as_uri())
    yield Browser(driver)
    assert [line for line in driver.get_log("browser") if line["level"] == "SEVERE"] == []


def test_a_click_on_a_column_sorts_by_it(browser: Browser) -> None:
    browser.sort_by("test_loss")
    assert browser.column("test_loss") == ["1e-05", "0.1", "0.5", "1", "∞"]
    assert browser.column("folder") == ["ngd", "sgd-1", "sgd-2", "sgd-0", "sgd-3"]
    assert browser.find('th[data-key="test_loss"]').get_attribute("aria-sort") == "ascending"
    browser.sort_by("test_loss")
    assert browser.column("test_loss") == ["∞", "1", "0.5", "0.1", "1e-05"]
    browser.sort_by("examples_to_target")
    assert browser.column("examples_to_target")[1:] == ["never"] * 4
    assert browser.find('th[data-key="test_loss"]').get_attribute("aria-sort") is None


def test_a_filter_leaves_the_rows_that_are_so(browser: Browser) -> None:
    assert browser.filter("optimizer.lr<0.02 optimizer=sgd") == "2 of 5 runs"
    assert browser.column("optimizer.lr") == ["0.005", "0.01"]
    assert browser.filter("status!=finished") == "1 of 5 runs"
    assert browser.filter("NGD") == "1 of 5 runs"
    assert browser.filter("test_loss=inf") == "1 of 5 runs"
    assert browser.filter("nothing~x").startswith(
        "nothing: no such column; there are optimizer.name, "
    )
    assert browser.filter("folder~sgd lr>=0.01") == "3 of 5 runs"
    assert browser.column("folder") == ["sgd-1", "sgd-2", "sgd-3"]


def test_what_is_left_is_drawn(browser: Browser) -> None:
    def lines() -> int:
        return len(browser.all("#examples .curves > path[stroke]:not(.lost)"))

    assert lines() == 5 and len(browser.all("#examples .lost")) == 1
    browser.filter("optimizer=sgd")
    assert lines() == 4 and "4 lines in colour" in browser.find("#examples").get_attribute(
        "aria-label"
    )
    browser.all('#runs tbody tr:not([hidden]) input[type="checkbox"]')[1].click()
    assert lines() == 1 and len(browser.all("#legend .swatch")) == 1
    browser.find("#untick").click()
    assert lines() == 4


def test_rates_and_times_have_their_pictures(browser: Browser) -> None:
    assert browser.find("#rates-figure").is_displayed()
    assert "1/1" in browser.find("#rates").text  # of the rate that diverged
    browser.filter("lr>0.05")
    assert not browser.find("#rates-figure").is_displayed()


def test_the_pointer_is_told_the_values(browser: Browser) -> None:
    svg = browser.find("#examples")
    last = browser.all("#examples .curves circle")[-1]
    chain = webdriver.ActionChains(browser.driver)
    chain.move_to_element(svg).move_to_element(last).perform()
    told = browser.find("#hint").text
    assert re.fullmatch(r".+\n\d+ examples, \d s: test loss [\d.e-]+", told), told
    assert len(browser.all("tr.near")) == 1


def test_text_is_never_markup(browser: Browser) -> None:
    assert browser.find("#left-out li").text == "left out: <b>x</b>"


def test_settings_and_runs(
    browser: Browser, driver: Any, write_run: WriteRun, tmp_path: Path
) -> None:
    write_run("more/ngd-1", [4.0, 1e-2, 1e-4], {"seed": 1}, optimizer=NGD)
    out = tmp_path / "seeds.html"
    write_report([read_run(folder) for folder in find_runs([tmp_path])], [], out)
    driver.get(out.as_uri())
    assert (
        browser.column("runs", "settings").count("2") == 1
        and len(browser.all("#examples .band")) == 1
    )
    browser.find('input[value="runs"]').click()
    assert len(browser.column("folder")) == 6 and not browser.all("#examples .band")
