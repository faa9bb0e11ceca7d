"""glowworm page over HTTP: what it shows of runs that grow, are cut back, lack files or were written by somebody who
means harm, and what it tells strangers: nothing. usage: page.py GLOWWORM"""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

from served import PATIENCE_S, Served, stage, step, write_metrics, write_status

GLOWWORM = ""
USAGE, DATA_ERROR, NOT_THERE, CONFIG_ERROR = 2, 65, 69, 78
SECRET = "what only its owner may read"
HOSTILE = "<script>alert(1)</script>\"'&"


class Page(unittest.TestCase):
    def setUp(self):
        self.work = tempfile.mkdtemp(prefix="glowworm-page-")
        self.addCleanup(shutil.rmtree, self.work)
        self.run_folder = os.path.join(self.work, "run")
        write_status(self.run_folder, stages=[stage("teacher", step=3, steps=10), stage("kernel", state="waiting")])
        with open(os.path.join(self.work, "secret"), "w") as file:
            file.write(SECRET)

    def serve(self, *words):
        served = Served(GLOWWORM, *(words or [self.run_folder]))
        self.addCleanup(lambda: self.assertEqual(served.end(), 0))
        return served

    def test_the_page_and_its_parts_are_served_and_nothing_else_may_be_loaded(self):
        served = self.serve()
        for path, kind in (("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javascript")):
            status, headers, body = served.answer(path)
            self.assertEqual((status, headers["Content-Type"]), (200, kind + "; charset=utf-8"))
            with open("cluster/page/" + (path[1:] or "page.html"), "rb") as file:
                self.assertEqual(body, file.read())
            self.assertIn("default-src 'none'; script-src 'self'", headers["Content-Security-Policy"])
            for name, value in (("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "DENY"),
                                ("Referrer-Policy", "no-referrer"), ("Cache-Control", "no-store")):
                self.assertEqual(headers[name], value)
            self.assertEqual(served.answer(path, "HEAD")[2], b"")
        self.assertEqual(served.answer("/", "HEAD")[1]["Content-Length"],
                         str(os.path.getsize("cluster/page/page.html")))

    def test_the_page_s_files_name_no_other_host_and_make_no_markup_of_what_runs_say(self):
        for name in ("page.html", "page.css", "page.js"):
            with open("cluster/page/" + name) as file:
                text = file.read().replace("http://www.w3.org/2000/svg", "")
            self.assertNotRegex(text, r"https?://|//\w+\.\w")
            self.assertNotRegex(text, r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function")
            self.assertNotRegex(text, r"<script>|style=|\bon\w+=")

    def test_who_does_not_know_the_token_is_told_the_same_of_everything(self):
        served = self.serve()
        said = set()
        for token in ("", "x", served.token[:-1], served.token + "0", "0" * len(served.token), served.token.upper() + "g",
                      "0" * 5000):
            for path in ("", "/", "/page.js", "/status.json", "/nothing"):
                for method in ("GET", "HEAD", "POST", "PUT", "OPTIONS"):
                    status, headers, body = served.answer(path, method, token=token)
                    self.assertEqual(status, 404)
                    said.add((method == "HEAD", body, tuple(sorted(set(headers) - {"Date"}))))
        self.assertEqual(len(said), 2)

    def test_nothing_is_written_through_it(self):
        served = self.serve()
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"):
            status, headers, _ = served.answer("/", method, body=b"x" * 100 if method != "BREW" else None)
            self.assertEqual((method, status, headers["Allow"]), (method, 405, "GET, HEAD"))

    def test_paths_lead_nowhere_else(self):
        served = self.serve()
        for path in ("/../secret", "/../../secret", "/..", "/.", "//", "/%2e%2e/secret", "/..%2fsecret", "/%2e%2e%2fsecret",
                     "/status.json/", "/status.json%00", "/status.json/../secret", "/page.js%20", "/./page.js",
                     "/published/status.json", "/metrics/teacher.jsonl", "/run", "\\..\\secret", "/STATUS.JSON"):
            with self.subTest(path):
                status, _, body = served.answer(path)
                self.assertEqual(status, 404)
                self.assertNotIn(SECRET.encode(), body)
        for query in ("run=1", "run=-1", "run=x", "run=", "run=0x0", "run=99999999999999999999", "run=%30", "run=0%00"):
            with self.subTest(query):
                self.assertEqual(served.answer("/status.json?" + query)[0], 404)
        self.assertEqual(served.answer("")[0], 404)

    def raw(self, served, request):
        """The first line that comes back of these bytes, and all that came with it."""
        said = b""
        with socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE_S) as client:
            try:
                client.sendall(request)
                if b"HTTP" not in request:
                    return b"", b""  # nothing comes back of it
                while b"\r\n\r\n" not in said:
                    got = client.recv(4096)
                    if not got:
                        break
                    said += got
            except ConnectionError:
                pass
        return said.split(b"\r\n")[0], said

    def test_what_is_no_request_ends_its_connection_only(self):
        served = self.serve()
        begin, end = f"GET /{served.token}/".encode(), b" HTTP/1.1\r\nHost: x\r\n"
        for code, request in ((b"", b"\0" * 5000 + b"\r\n\r\n"), (b"", b"\r\n" * 2000 + b"x\r\n\r\n"),
                              (b"404", begin.replace(b"/", b"http://127.0.0.1/", 1) + end + b"\r\n"),
                              (b"404", begin + b"../secret\0" + end + b"\r\n"), (b"200", begin + b"\0/../secret" + end + b"\r\n"),
                              (b"414", begin + b"a" * 100000 + end + b"\r\n"),
                              (b"431", begin + end + b"Cookie: " + b"c" * 100000 + b"\r\n\r\n"),
                              (b"431", begin + end + b"A: b\r\n" * 20000 + b"\r\n"),
                              (b"400", begin + b" HTTP/1.1\r\n\r\n"), (b"505", begin + b" HTTP/9.9\r\nHost: x\r\n\r\n")):
            with self.subTest(request[:80] + request[-40:]):
                line, said = self.raw(served, request)
                self.assertTrue(line.startswith(b"HTTP/1.1 " + code) if code else line == b"", line)
                self.assertNotIn(SECRET.encode(), said)
                self.assertEqual(served.answer("/")[0], 200)

    def test_connections_that_say_little_keep_nobody_out_and_take_no_memory(self):
        served = self.serve()
        served.json("/status.json")
        before, held, over = served.memory_kib(), [], threading.Event()

        def trickle():
            """A byte now and then, so that none is idle."""
            while not over.wait(0.2):
                for client in list(held):
                    try:
                        client.send(b"s")
                    except OSError:
                        pass

        writer = threading.Thread(target=trickle)
        writer.start()
        self.addCleanup(writer.join)
        self.addCleanup(over.set)
        for i in range(300):
            client = socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE_S)
            client.sendall(f"GET /{served.token}/ HTTP/1.1\r\nHost: x\r\nX-Slow: ".encode()[:20 + i % 60])
            held.append(client)
            self.addCleanup(client.close)
            if i % 20 == 0:
                self.assertEqual(served.answer("/status.json")[0], 200)
        self.assertEqual(served.answer("/")[0], 200)
        self.assertLess(served.memory_kib() - before, 10000)

    def test_a_browser_s_connection_is_used_again(self):
        served = self.serve()
        connection = served.connection()
        for _ in range(3):
            connection.request("GET", f"/{served.token}/status.json")
            answer = connection.getresponse()
            answer.read()
            self.assertNotEqual(answer.headers.get("Connection", "").lower(), "close")
        connection.close()

    def test_only_this_machine_can_reach_it(self):
        served = self.serve()
        with open("/proc/net/tcp") as file:
            bound = [line.split()[1] for line in file if f":{served.port:04X} 00000000:0000 0A" in line]
        self.assertEqual(bound, [f"0100007F:{served.port:04X}"])

    def test_curves_grow_with_their_file_and_are_cut_back_with_it(self):
        served = self.serve()
        ask = "/curves.json?run=0&stage=teacher&from="
        self.assertIn("trouble", served.json(ask + "0"))  # it has not begun
        start = '{"event":"start","step":0,"stage":"teacher","steps":10}\n'
        grid = '{"event":"evaluate","step":2,"subnets":[{"label":"biggest","accuracy":0.25,"loss":2}]}\n'
        write_metrics(self.run_folder, "teacher", start + step(1) + step(2, loss=None) + grid + step(3)[:20])
        first = served.json(ask + "0")
        self.assertEqual((first["steps"], first["step"], first["more"], first["same"]), (10, [1, 2], False, False))
        self.assertEqual(first["loss"], [1.0, None])
        self.assertEqual(first["evaluate"], [{"step": 2, "subnets": [{"label": "biggest", "accuracy": 0.25, "loss": 2}]}])
        again = served.json(ask + str(first["version"]))
        self.assertEqual(again, {"same": True, "version": first["version"], "more": False})
        write_metrics(self.run_folder, "teacher", step(3)[20:] + step(4), "a")
        grown = served.json(ask + str(first["version"]))
        self.assertEqual(grown["step"], [1, 2, 3, 4])
        write_metrics(self.run_folder, "teacher", start + step(1) + step(2, loss=0.125))
        self.assertEqual(served.json(ask + str(grown["version"]))["loss"], [1.0, 0.125])
        longer = start + "".join(step(i, loss=0.5) for i in range(1, 9))
        write_metrics(self.run_folder, "teacher", longer)  # longer than before, and other lines
        self.assertEqual(served.json(ask + "0")["loss"], [0.5] * 8)

    def test_a_long_stage_becomes_a_short_curve_of_means(self):
        served = self.serve()
        write_metrics(self.run_folder, "teacher", "".join(step(i, loss=float(i % 2), pad="x" * 60) for i in range(1, 60001)))
        version, turns, more = 0, 0, True
        while more:
            got = served.json(f"/curves.json?run=0&stage=teacher&from={version}")
            version, more, turns = got["version"], got["more"], turns + 1
        self.assertGreater(turns, 3)
        self.assertTrue(256 <= len(got["step"]) <= 512, len(got["step"]))
        self.assertEqual(got["step"], sorted(got["step"]))
        self.assertEqual(got["step"][-1], 60000)
        self.assertEqual(set(got["loss"][:-1]), {0.5})

    def test_many_evaluations_become_fewer_and_the_last_is_there(self):
        served = self.serve()
        text = "".join(json.dumps({"event": "evaluate", "step": i, "subnets": [{"label": "biggest", "accuracy": i / 1000}]})
                       + "\n" for i in range(1000))
        write_metrics(self.run_folder, "teacher", text)
        steps = [one["step"] for one in served.json("/curves.json?stage=teacher")["evaluate"]]
        self.assertTrue(100 <= len(steps) <= 257, len(steps))
        self.assertEqual((steps[0], steps[-1]), (0, 999))

    def test_lines_that_are_none_are_left_out(self):
        served = self.serve()
        odd = ['{"event":"step"}', "[1,2]", "\0\0", '{"event":"step","step":"x","loss":{}}', "[" * 5000, '"', '{"event":7}',
               '{"event":"evaluate","step":1,"subnets":{"label":1}}', '{"event":"evaluate","subnets":[7,{"label":7}]}',
               '{"event":"start","steps":1e400}', "\xff\xfe", '{"event":"step","step":9,"loss":1e999}']
        write_metrics(self.run_folder, "teacher", step(1) + "\n".join(odd) + "\n" + "x" * 5000000 + "\n" + step(2))
        version, more = 0, True
        while more:
            got = served.json(f"/curves.json?stage=teacher&from={version}")
            version, more = got["version"], got["more"]
        self.assertEqual([got["step"][0], got["step"][-1]], [1, 2])
        self.assertEqual([got["loss"][0], got["loss"][-1]], [1.0, 0.5])

    def test_links_pipes_and_names_that_lead_out_of_the_folder_show_nothing(self):
        write_status(self.run_folder, stages=[stage("teacher"), stage("kernel"), stage("../../secret"), stage("search", "search"),
                                              stage(".hidden")])
        metrics = os.path.join(self.run_folder, "metrics")
        os.makedirs(metrics)
        os.mkfifo(os.path.join(metrics, "teacher.jsonl"))
        os.symlink(os.path.join(self.work, "other.jsonl"), os.path.join(metrics, "kernel.jsonl"))
        os.symlink(os.path.join(self.work, "secret"), os.path.join(self.run_folder, "report.html"))
        for name in ("../../secret.jsonl", "other.jsonl", "run/metrics/search.jsonl", "run/metrics/.hidden.jsonl"):
            with open(os.path.normpath(os.path.join(self.work, "a/b", name) if name[0] == "." else
                                       os.path.join(self.work, name)), "w") as file:
                file.write(step(1))
        served = self.serve()
        for name in ("teacher", "kernel", "../../secret", "search", ".hidden", "nothing", ""):
            self.assertIn("trouble", served.json("/curves.json?stage=" + name), name)
        status, _, body = served.answer("/report.html")
        self.assertEqual((status, SECRET.encode() in body), (404, False))

    def test_a_report_is_shown_as_it_is_and_runs_no_script(self):
        with open(os.path.join(self.run_folder, "report.html"), "w") as file:
            file.write("<p>a report</p><script>alert(1)</script>")
        served = self.serve()
        self.assertTrue(served.json("/results.json")["report"])
        status, headers, body = served.answer("/report.html?run=0")
        self.assertEqual((status, body), (200, b"<p>a report</p><script>alert(1)</script>"))
        self.assertIn("default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox",
                      headers["Content-Security-Policy"])

    def test_targets_are_shown_as_far_as_they_are_there(self):
        os.makedirs(os.path.join(self.run_folder, "results"))
        path = os.path.join(self.run_folder, "results", "search.json")
        served = self.serve()
        self.assertEqual(served.json("/results.json"), {"targets": [], "report": False})
        with open(path, "w") as file:
            json.dump({"targets": [{"name": HOSTILE, "macs": 5e5, "latency_ms": None, "holdout_accuracy": 0.5,
                                    "test": {"accuracy": 0.25}}, 7], "candidates": []}, file)
        found = served.json("/results.json")["targets"]
        self.assertEqual((found[0]["name"], found[0]["macs"], found[0]["latency_ms"], found[0]["test_accuracy"]),
                         (HOSTILE, 5e5, None, 0.25))
        for broken in ("", "[", "7", '{"targets":{"a":1}}'):
            with open(path, "w") as file:
                file.write(broken)
            self.assertEqual(served.json("/results.json")["targets"], [])

    def test_names_that_mean_harm_stay_text(self):
        write_status(self.run_folder, campaign=HOSTILE, stages=[stage(HOSTILE, why=HOSTILE, error_text="\x1b[2J" + HOSTILE)])
        served = self.serve()
        for path in ("/status.json", "/runs.json", "/"):
            status, headers, body = served.answer(path)
            self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
            self.assertNotIn(b"\x1b", body)
            self.assertEqual(path != "/", b"alert(1)" in body)
        self.assertEqual(served.json("/status.json")["campaign"], HOSTILE)
        self.assertEqual(served.json("/status.json")["stages"][0]["why"], HOSTILE)

    def test_several_runs_are_listed_and_one_that_cannot_be_read_takes_nothing_from_the_others(self):
        other, none = os.path.join(self.work, "other"), os.path.join(self.work, "none")
        write_status(other, campaign="other", state="done", stages=[stage("teacher", state="done")])
        os.mkdir(none)
        served = self.serve(self.run_folder, none, other)
        runs = served.json("/runs.json")["runs"]
        self.assertEqual([run.get("campaign") for run in runs], ["road", None, "other"])
        self.assertEqual([run["folder"] for run in runs], [self.run_folder, none, other])
        self.assertEqual((runs[0]["done"], runs[0]["stages"], runs[0]["running"]), (0, 2, ["teacher"]))
        self.assertEqual((runs[2]["done"], runs[2]["state"], runs[2]["runner"]), (1, "done", "ended"))
        self.assertIn("is not a run's folder", runs[1]["trouble"])
        self.assertIn("is not a run's folder", served.json("/status.json?run=1")["trouble"])
        self.assertEqual(served.json("/status.json?run=2")["campaign"], "other")
        write_status(none, campaign="begun")
        self.assertEqual(served.json("/status.json?run=1")["campaign"], "begun")

    def test_a_status_that_is_damaged_is_said_and_the_next_one_shown(self):
        served = self.serve()
        for broken in ("", "{", '{"format":1,"state":[]}', "[" * 100000, '{"format":99,"state":"running"}'):
            with open(os.path.join(self.run_folder, "published", "status.json"), "w") as file:
                file.write(broken)
            self.assertIn("status.json", served.json("/status.json")["trouble"])
            self.assertIn("trouble", served.json("/curves.json?stage=teacher"))
        write_status(self.run_folder, campaign="mended")
        self.assertEqual(served.json("/status.json")["campaign"], "mended")

    def test_the_address_may_be_kept_with_a_port_and_a_token_of_one_s_own(self):
        token = os.path.join(self.work, "token")
        with open(token, "w") as file:
            file.write("a-token_of-my-own-0\n")
        self.assertIn("chmod 600", self.refused(CONFIG_ERROR, "--token-file", token))
        os.chmod(token, 0o600)
        served = self.serve(self.run_folder, "--token-file", token)
        self.assertEqual(served.token, "a-token_of-my-own-0")
        self.assertEqual(served.answer("/")[0], 200)
        self.assertIn(f"port {served.port}", self.refused(NOT_THERE, "--port", str(served.port)))
        for weak in ("short", "has a space in the middle of it", "../../../../etc/passwd"):
            with open(token, "w") as file:
                file.write(weak)
            self.assertIn("a token has 16 to 64", self.refused(CONFIG_ERROR, "--token-file", token))

    def refused(self, code, *words):
        done = subprocess.run([GLOWWORM, "page", self.run_folder, *words], capture_output=True, text=True, timeout=PATIENCE_S)
        self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
        return done.stderr

    def test_what_is_asked_wrongly_is_said(self):
        for words in (["--port", "0"], ["--port", "65536"], ["--port", "x"], ["--nothing"]):
            self.refused(USAGE, *words)
        done = subprocess.run([GLOWWORM, "page", os.path.join(self.work, "nothing")], capture_output=True, text=True)
        self.assertEqual((done.returncode, re.search("there is no folder", done.stderr) is None), (DATA_ERROR, False))
        self.assertEqual(subprocess.run([GLOWWORM, "page"], capture_output=True).returncode, USAGE)
        for words in (["plan", "x.yaml", "--page"], ["run", "x.yaml", "--page=0"], ["run", "x.yaml", "--page=x"]):
            self.assertEqual(subprocess.run([GLOWWORM, *words], capture_output=True).returncode, USAGE, words)

    def test_ctrl_c_is_how_it_ends(self):
        served = Served(GLOWWORM, self.run_folder)
        held = socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE_S)
        self.assertEqual(served.end(), 0)
        self.assertEqual(held.recv(1), b"")
        held.close()


if __name__ == "__main__":
    GLOWWORM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
