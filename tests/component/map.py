#!/usr/bin/env python3
"""multifdctl map: pictures of a made guest, held against accepted ones, and driven as people do.

MFD_ACCEPT=1 makes what the program draws now the accepted pictures; look at them before that is
committed.
"""

import json
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree

from mfdtest import chromium, env, png, process, runner, stream
from mfdtest.migrate import Settings, file_uri, save
from mfdtest.terminal import Terminal

MIB, PAGE = 1 << 20, 4096
DONE, FAILED, TROUBLE = 0, 1, 2
ACCEPTED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "accepted")

#: As in palette.cpp, all of a cell's pages.
COLOURS = {"zero": (0xe9, 0xec, 0xf0), "stored": (0x00, 0x44, 0x88), "stale": (0xdd, 0xaa, 0x33),
           "differs": (0xbb, 0x55, 0x66)}
#: Colours of texts and lines: where a picture has other ones there are cells or legend.
LINES = {(0xff, 0xff, 0xff), (0x1b, 0x1f, 0x24), (0x5b, 0x64, 0x70), (0xc9, 0xd0, 0xd8)}

#: Of 255, in the mean of all pixels: other versions of librsvg and of the font draw the letters
#: otherwise. A panel of cells with wrong colours is far above.
SVG_TOLERANCE = 2.0


class MapTest(runner.TestCase):
    """The guest has two blocks and all kinds of pages; its files have short names, as pictures show
    them, so the tool runs in their folder."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tool = env.tool("MFD_CTL", "multifdctl")

    def setUp(self):
        super().setUp()
        ram, rom = self.ram("pc.ram", 64 * MIB), self.ram("pc.rom", 64 * PAGE)
        self.fill(ram, [(16, 40), (300, 1700), (5000, 800), (9001, 3), (12000, 2500)])
        self.fill(ram, [(page, 1) for page in range(6100, 8000, 7)])
        self.fill(rom, [(3, 20)])
        self.save("monday.mig", ram, rom)
        self.fill(ram, [(600, 200), (3000, 50), (13000, 1)], b"tuesday!")
        self.save("tuesday.mig", ram, rom)
        # Old data in slots whose bits are clear.
        block = stream.read(self.path("tuesday.mig")).blocks[0]
        with open(self.path("tuesday.mig"), "r+b") as file:
            for first, count in ((2200, 90), (15500, 300)):
                file.seek(block.pages_offset + first * PAGE)
                file.write(b"stale..." * (count * PAGE // 8))

    @staticmethod
    def fill(block, runs, data=b"memory.."):
        for first, count in runs:
            os.pwrite(block.fd, data * (count * PAGE // 8), first * PAGE)

    def save(self, name, *blocks):
        with process.multifdd(blocks) as daemon:
            save(daemon.connect(), file_uri(self.path(name)), Settings(2))

    def map(self, *words, status=DONE, **variables):
        settings = dict(os.environ, LC_ALL="C.UTF-8")
        settings.update(variables)
        if "NO_COLOR" not in variables:
            settings.pop("NO_COLOR", None)
        done = subprocess.run([self.tool, "map", *words], capture_output=True, text=True,
                              cwd=self.scratch, timeout=env.DEADLINE_S, check=False, env=settings)
        self.assertEqual(done.returncode, status, "%s\n%s%s" % (words, done.stdout, done.stderr))
        return done

    def kinds(self, *words):
        """Of each page of pc.ram, as --json tells."""
        found = json.loads(self.map(*words, "--json").stdout)
        block = next(block for block in found["blocks"] if block["name"] == "pc.ram")
        return [kind for kind, _, count in block["runs"] for _ in range(count)]

    def accept(self, path, name):
        """True where the file is the accepted one from now on."""
        accepted = os.path.join(ACCEPTED, name)
        if os.environ.get("MFD_ACCEPT") == "1":
            os.makedirs(ACCEPTED, exist_ok=True)
            shutil.copyfile(path, accepted)
        return accepted


class Numbers(MapTest):
    def test_json_counts_every_page_once(self):
        found = json.loads(self.map("tuesday.mig", "--json").stdout)
        self.assertEqual([block["num-pages"] for block in found["blocks"]], [16384, 64])
        self.assertEqual((found["stale"], found["differs"]), (390, 0))
        inspected = json.loads(subprocess.run(
            [self.tool, "inspect", "--json", "--runs", self.path("tuesday.mig")],
            capture_output=True, check=True, timeout=env.DEADLINE_S).stdout)
        self.assertEqual([block["runs"] for block in found["blocks"]],
                         [block["runs"] for block in inspected["blocks"]])

    def test_pages_that_differ_are_those_of_diff(self):
        kinds = self.kinds("tuesday.mig", "--against", "monday.mig")
        differing = [page for page, kind in enumerate(kinds) if kind == "differs"]
        self.assertEqual(differing, [*range(600, 800), *range(3000, 3050), 13000])
        alone = self.kinds("tuesday.mig")
        self.assertEqual([kind for page, kind in enumerate(kinds) if kind != "differs"],
                         [kind for page, kind in enumerate(alone) if page not in set(differing)])

    def test_what_the_other_file_does_not_have_differs(self):
        self.save("small.mig", self.ram("pc.ram", 32 * MIB))
        found = json.loads(self.map("monday.mig", "--against", "small.mig", "--json").stdout)
        ram, rom = found["blocks"]
        self.assertEqual(ram["runs"][-1], ["differs", 8192, 8192])
        self.assertEqual(rom["runs"], [["differs", 0, 64]])

    def test_one_block_can_be_named(self):
        found = json.loads(self.map("monday.mig", "--block", "pc.rom", "--json").stdout)
        self.assertEqual([block["name"] for block in found["blocks"]], ["pc.rom"])
        said = self.map("monday.mig", "--block", "x", "--json", status=TROUBLE).stderr
        self.assertIn("no block x in the file; it has pc.ram, pc.rom", said)


class Files(MapTest):
    def test_a_picture_is_replaced_only_on_request(self):
        for name in ("m.svg", "m.png", "m.html"):
            self.map("monday.mig", "-o", name)
            with open(self.path(name), "rb") as file:
                first = file.read()
            self.assertIn("--force", self.map("tuesday.mig", "-o", name, status=TROUBLE).stderr)
            with open(self.path(name), "rb") as file:
                self.assertEqual(file.read(), first)
            self.map("tuesday.mig", "-o", name, "--force")
            with open(self.path(name), "rb") as file:
                self.assertNotEqual(file.read(), first)
        self.assertEqual(sorted(os.listdir(self.scratch)),
                         ["m.html", "m.png", "m.svg", "monday.mig", "tuesday.mig"])

    def test_mistakes_are_told_and_leave_nothing(self):
        before = os.listdir(self.scratch)
        for words, text in ((["monday.mig"], "--tui"), (["monday.mig", "-o", "m.jpg"], ".svg"),
                            (["none.mig", "-o", "m.svg"], "none.mig"),
                            (["monday.mig", "-o", "m.svg", "--size", "10"], "10"),
                            (["monday.mig", "-o", "m.svg", "--layout", "x"], "layout")):
            self.assertIn(text, self.map(*words, status=TROUBLE).stderr)
        self.assertEqual(os.listdir(self.scratch), before)

    def test_of_a_damaged_file_what_is_there_is_shown(self):
        with open(self.path("monday.mig"), "r+b") as file:
            file.truncate(30 * MIB)
        # Behind the entry that names pages past the end there is nothing to be known.
        done = subprocess.run([self.tool, "inspect", self.path("monday.mig")], capture_output=True,
                              timeout=env.DEADLINE_S, check=False)
        self.assertEqual(done.returncode, FAILED)
        said = self.map("monday.mig", "-o", "m.svg", status=FAILED)
        self.assertIn("what could be read is shown", said.stderr)
        self.assertTrue(os.path.exists(self.path("m.svg")))
        self.map("monday.mig", "--against", "tuesday.mig", "-o", "n.svg", status=FAILED)
        self.assertFalse(os.path.exists(self.path("n.svg")))

    def test_names_in_a_file_stay_text(self):
        at = stream.read(self.path("monday.mig")).blocks[0].entry_offset
        with open(self.path("monday.mig"), "r+b") as file:
            file.seek(at + 1)
            file.write(b"<b>&\x1b'")
        for name in ("m.svg", "m.html"):
            self.map("monday.mig", "-o", name, status=FAILED)
            with open(self.path(name), encoding="ascii") as file:
                text = file.read()
            self.assertNotIn("<b>", text)
            self.assertNotIn("\x1b", text)
        xml.etree.ElementTree.parse(self.path("m.svg"))
        self.assertNotIn("\x1b", self.map("monday.mig", "--tui", status=FAILED, NO_COLOR="1").stdout)


class Pictures(MapTest):
    PICTURES = {"hilbert": ["tuesday.mig", "--against", "monday.mig"],
                "shares": ["tuesday.mig", "--against", "monday.mig", "--size", "560"],
                "rows": ["tuesday.mig", "--layout", "rows", "--size", "640"]}

    def test_pngs_are_the_accepted_ones(self):
        for name, words in self.PICTURES.items():
            with self.subTest(name):
                self.map(*words, "-o", name + ".png")
                accepted = self.accept(self.path(name + ".png"), name + ".png")
                ours, theirs = png.read(self.path(name + ".png")), png.read(accepted)
                self.assertEqual((ours.width, ours.height), (theirs.width, theirs.height))
                wrong = [y for y in range(ours.height) if ours.rows[y] != theirs.rows[y]]
                self.assertEqual(wrong, [], "lines with other pixels than in %s" % accepted)

    def test_svgs_drawn_by_librsvg_are_like_the_accepted_ones(self):
        env.need(shutil.which("rsvg-convert"), "no rsvg-convert")
        for name, words in self.PICTURES.items():
            with self.subTest(name):
                self.map(*words, "-o", name + ".svg")
                self.map(*words, "-o", name + ".png")
                drawn = self.path("drawn.png")
                subprocess.run(["rsvg-convert", self.path(name + ".svg"), "-o", drawn], check=True,
                               timeout=env.DEADLINE_S)
                accepted = self.accept(drawn, name + "-svg.png")
                ours = png.read(drawn)
                self.assertLessEqual(png.mean_difference(ours, png.read(accepted)), SVG_TOLERANCE)
                self.assert_same_cells(ours, png.read(self.path(name + ".png")))

    def assert_same_cells(self, drawn, other):
        """Wherever the PNG has a colour of cells the SVG has it too."""
        self.assertEqual((drawn.width, drawn.height), (other.width, other.height))
        compared = 0
        for y, (mine, theirs) in enumerate(zip(drawn.rows, other.rows)):
            for x in range(0, 3 * drawn.width, 3):
                colour = tuple(theirs[x:x + 3])
                if colour not in LINES:
                    compared += 1
                    self.assertEqual(tuple(mine[x:x + 3]), colour, "at %d, %d" % (x // 3, y))
        self.assertGreater(compared, drawn.width * drawn.height // 3)

    def test_an_svg_is_well_formed_and_small(self):
        self.map("tuesday.mig", "-o", "m.svg")
        root = xml.etree.ElementTree.parse(self.path("m.svg")).getroot()
        texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
        self.assertIn("tuesday.mig", texts)
        self.assertIn("pc.ram", texts)
        self.assertLess(os.stat(self.path("m.svg")).st_size, 40_000)


class Html(MapTest):
    #: Ids of what the page tells about the spot under the pointer.
    TOLD = ("block", "page", "address", "offset", "slot", "state")

    def setUp(self):
        super().setUp()
        chromium.need()

    def told(self, page):
        return page.evaluate("Object.fromEntries(%s.map((id) => "
                             "[id, document.getElementById(id).textContent]))" % list(self.TOLD))

    def colour_at(self, page, x, y):
        return png.Png(page.screenshot()).pixel(x, y)

    def open(self, *words):
        self.map("tuesday.mig", "--against", "monday.mig", "-o", "m.html", *words)
        page = chromium.Page(self.path("m.html"))
        self.addCleanup(page.close)
        return page

    def test_the_page_under_the_pointer_is_named_and_has_its_colour(self):
        kinds = self.kinds("tuesday.mig", "--against", "monday.mig")
        slots = stream.read(self.path("tuesday.mig")).blocks[0].pages_offset
        for layout in ("hilbert", "rows"):
            with self.subTest(layout):
                page = self.open("--layout", layout, "--force")
                seen = {}
                for y in range(60, 620, 80):
                    for x in range(200, 740, 60):
                        page.move(x, y)
                        told = self.told(page)
                        if told["block"] != "pc.ram":
                            continue
                        number = int(told["page"])
                        self.assertEqual(told["state"], kinds[number], told)
                        self.assertEqual(int(told["offset"], 16), number * PAGE)
                        self.assertEqual(int(told["address"], 16), number * PAGE)
                        self.assertEqual(int(told["slot"], 16), slots + number * PAGE)
                        seen[number] = (x, y)
                self.assertGreater(len(seen), 40, "most of the view is memory")
                self.assertEqual({kinds[number] for number in seen} - set(COLOURS), set())
                # Close up a page is a square in its own colour; the pointer's own is framed.
                for kind in ("zero", "stored"):
                    x, y = next(place for number, place in seen.items() if kinds[number] == kind)
                    for _ in range(8):
                        page.wheel(x, y, -240)
                    centre = page.evaluate("((zoom, x, y) => [(Math.floor(left + x / zoom) + 0.5 - "
                                           "left) * zoom, (Math.floor(top_ + y / zoom) + 0.5 - "
                                           "top_) * zoom])(zoom, %d, %d)" % (x, y))
                    page.move(*centre)
                    told = self.told(page)
                    self.assertEqual(told["state"], kind)
                    self.assertEqual(self.colour_at(page, *map(int, centre)), COLOURS[kind])
                    page.key("0", "0")
                self.assertEqual(page.faults(), [])
                self.assertEqual([url for url in page.requests() if not url.startswith("file://")],
                                 [], "it needs no network")

    def test_wheel_keys_buttons_and_dragging_move_the_view(self):
        page = self.open()
        whole = page.evaluate("zoom")
        page.move(400, 300)
        before = self.told(page)
        for _ in range(6):
            page.wheel(400, 300, -240)
        near = page.evaluate("zoom")
        self.assertGreater(near, 3 * whole)
        self.assertEqual(self.told(page), before, "what is under the pointer stays there")
        page.drag((400, 300), (500, 340))
        self.assertEqual(self.told(page), before, "it went along")
        page.move(400, 300)
        self.assertNotEqual(self.told(page)["page"], before["page"])
        page.key("0", "0")
        self.assertAlmostEqual(page.evaluate("zoom"), whole)
        page.key("+", "+")
        self.assertAlmostEqual(page.evaluate("zoom"), 2 * whole)
        page.key("-", "-")
        self.assertAlmostEqual(page.evaluate("zoom"), whole)
        left = page.evaluate("left")
        page.key("ArrowRight")
        self.assertGreater(page.evaluate("left"), left)
        for button, zoom in (("fit", whole), ("in", 2 * whole), ("out", whole)):
            page.evaluate("document.getElementById('%s').click()" % button)
            self.assertAlmostEqual(page.evaluate("zoom"), zoom)
        page.move(2, 2)
        self.assertEqual(self.told(page)["block"], "", "there is no memory")
        self.assertEqual(page.faults(), [])

    def test_it_walks_the_same_curve_as_the_other_pictures(self):
        """The cells in order are neighbours, and every page is found where it is drawn."""
        page = self.open()
        places = page.evaluate("[...Array(data.blocks[0].pages).keys()].map("
                               "(n) => cellOf(data.blocks[0], n))")
        self.assertEqual(len({tuple(place) for place in places}), 16384)
        self.assertEqual([n for n, (a, b) in enumerate(zip(places, places[1:]))
                          if abs(a[0] - b[0]) + abs(a[1] - b[1]) != 1], [])
        self.assertTrue(page.evaluate("[...Array(data.blocks[0].pages).keys()].every("
                                      "(n) => pageAt(data.blocks[0], ...cellOf(data.blocks[0], n))"
                                      " === n)"))
        # A cell is a page in the PNG too; its panel begins where its first cell is.
        self.map("tuesday.mig", "--against", "monday.mig", "-o", "m.png", "--size", "1024")
        picture = png.read(self.path("m.png"))
        kinds = self.kinds("tuesday.mig", "--against", "monday.mig")
        top = next(y for y in range(200, picture.height)
                   if len({picture.pixel(x, y) for x in range(40, 900)} - LINES) > 1)
        side = 960 // 128
        wrong = [n for n, (x, y) in enumerate(places)
                 if picture.pixel(32 + x * side + 3, top + y * side + 3) != COLOURS[kinds[n]]]
        self.assertEqual(wrong, [])


class InTheTerminal(MapTest):
    SIZES = ((80, 24), (200, 50))
    HALVES = re.compile("[\u2580\u2584]")

    def drawn(self, columns, lines, *words, **variables):
        return self.map("tuesday.mig", "--against", "monday.mig", "--tui", *words,
                        COLUMNS=str(columns), LINES=str(lines), **variables).stdout

    def test_it_fits_the_terminal_and_is_drawn_anew_for_another_size(self):
        env.need(shutil.which("tmux"), "no tmux")
        # A static picture: after a resize it is asked for again.
        script = ('cd "$1" && "$0" map tuesday.mig --against monday.mig --tui && read line && '
                  'clear && "$0" map tuesday.mig --against monday.mig --tui')
        for size, other in (self.SIZES, self.SIZES[::-1]):
            with self.subTest(size=size), Terminal(["sh", "-c", script, self.tool, self.scratch],
                                                   *size, {"LC_ALL": "C.UTF-8"}) as terminal:
                self.assert_picture(terminal, size)
                terminal.resize(*other)
                terminal.press("Enter")
                self.assert_picture(terminal, other)
                self.assertEqual(terminal.ended()[0], DONE)

    def assert_picture(self, terminal, size):
        columns, rows = size
        plain = re.sub("\x1b\\[[0-9;]*m", "", self.drawn(columns, rows)).splitlines()
        self.assertLess(len(plain), rows, "a line is left for the prompt")
        self.assertGreater(len(plain), rows * 0.85)
        def is_there(_):
            # With what a line more may have scrolled away.
            lines = [line.rstrip() for line in terminal.capture("-S", "-")]
            wanted = [line.rstrip() for line in plain]
            return any(lines[i:i + len(wanted)] == wanted for i in range(len(lines)))
        terminal.shows(is_there, "the picture for %d by %d" % size)
        self.assertLessEqual(max(map(len, plain)), columns)
        full = [line for line in plain if len(self.HALVES.findall(line)) > columns * 0.75]
        self.assertGreater(len(full), rows * 0.6)
        colours = terminal.capture("-e")
        for code in (75, 221, 204, 238): # stored, stale, differs, zero
            self.assertTrue(any("8;5;%d" % code in line for line in colours), code)

    def test_without_colours_it_is_the_accepted_text(self):
        for columns, lines in self.SIZES:
            name = "terminal-%dx%d.txt" % (columns, lines)
            text = self.drawn(columns, lines, NO_COLOR="1")
            with open(self.path("text"), "w", encoding="utf-8") as file:
                file.write(text)
            with open(self.accept(self.path("text"), name), encoding="utf-8") as file:
                self.assertEqual(text, file.read(), name)

    def test_colours_and_glyphs_are_of_the_same_kinds(self):
        self.assertNotIn("\x1b", self.drawn(80, 24, NO_COLOR="1"))
        self.assertIn("\x1b[38;5;", self.drawn(80, 24, NO_COLOR=""))
        self.assertNotEqual(self.drawn(80, 24), self.drawn(80, 24, "--layout", "rows"))
        unicode, plain = (self.drawn(80, 24, NO_COLOR="1", LC_ALL=locale)
                          for locale in ("C.UTF-8", "C"))
        self.assertEqual(unicode.translate(str.maketrans("\u00b7\u2591\u2592\u2593\u2588~\u2248",
                                                         ".-+*#sS")), plain)


if __name__ == "__main__":
    runner.main()
