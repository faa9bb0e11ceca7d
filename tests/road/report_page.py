"""Reads report.html the way a browser would, and checks it against the run's results."""
import base64
import html.parser
import json
import os

SECTIONS = ["targets", "front", "curves", "phases", "mistakes", "bundles", "campaign"]
WORST = 12


class Page(html.parser.HTMLParser):
    """Per section: how many elements of each class, the text, the numbers in coloured cells, the pictures."""

    def __init__(self, path):
        super().__init__()
        self.order, self.counts, self.text, self.cells, self.pictures = [], {}, {}, {}, []
        self.is_cell, self.outside = False, []
        with open(path) as file:
            self.feed(file.read())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "section":
            self.order.append(attributes["id"])
            self.counts[self.order[-1]], self.text[self.order[-1]], self.cells[self.order[-1]] = {}, "", []
        self.outside += [tag] if tag in ("script", "link", "iframe") else []
        self.outside += [value for key, value in attributes.items() if key in ("href", "srcset", "data", "action")]
        if "src" in attributes:
            self.pictures.append(attributes["src"])
        self.is_cell = tag == "td" and "style" in attributes
        if self.order:
            counts = self.counts[self.order[-1]]
            for name in [tag] + attributes.get("class", "").split():
                counts[name] = counts.get(name, 0) + 1

    def handle_endtag(self, tag):
        self.is_cell = False

    def handle_data(self, data):
        if not self.order:
            return
        self.text[self.order[-1]] += data
        if self.is_cell:
            self.cells[self.order[-1]].append(int(data))


def check_page(folder, search, bundles, phases):
    page = Page(os.path.join(folder, "report.html"))
    targets = search["targets"]
    assert page.order == SECTIONS, page.order
    checks = [f"bundles/{target['name']}/check.html" for target in targets]
    assert page.outside == checks, page.outside  # nothing else is outside the page, and it needs none of it
    for check in checks:
        assert os.path.isfile(os.path.join(folder, check)), check
    assert page.counts["curves"]["polyline"] == 2 * phases, page.counts["curves"]
    assert page.counts["phases"]["mark"] == phases, page.counts["phases"]
    front = page.counts["front"]
    assert front["circle"] == len(search["candidates"]) and front["polyline"] == 1, front
    assert front["diamond"] == len({target["candidate"] for target in targets}), front
    assert front["mark"] == len(targets), "a bound is not marked"
    assert "predicted latency on firefly-dl-mono" in page.text["front"]
    assert page.counts["mistakes"]["confusion"] == len(targets)
    assert sum(page.cells["mistakes"]) == sum(target["test"]["images"] for target in targets)
    assert len(page.pictures) == WORST * len(targets), len(page.pictures)
    for picture in page.pictures:
        kind, _, data = picture.partition(",")
        assert kind == "data:image/png;base64" and base64.b64decode(data)[:4] == b"\x89PNG", picture[:60]
    for target in targets:
        assert target["subnet"] in page.text["targets"], target["subnet"]
        for image in target["test"]["worst"]:
            assert image["name"] in page.text["mistakes"], image["name"]
    for bundle in bundles:
        with open(os.path.join(bundle, "bundle.json")) as file:
            for entry in json.load(file)["files"]:
                assert entry["name"] in page.text["bundles"], entry["name"]
