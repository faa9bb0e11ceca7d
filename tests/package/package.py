#!/usr/bin/python3
"""An installation and a Debian package, each used where it was never built: campaigns, pages, completion.
usage: package.py BUILD_FOLDER"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../road"))
from road import ROOT, make_scene  # noqa: E402

BUILD = ""
DATA = 65
UNAVAILABLE = 69


def call(*command, expect=0, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300, **options)
    if done.returncode != expect:
        raise AssertionError(f"{command}: ended with {done.returncode}, expected {expect}\n{done.stdout}{done.stderr}")
    return done


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = tempfile.mkdtemp(prefix="glowworm-package-")
        cls.prefix, cls.tree, deb, cls.elsewhere = (
            os.path.join(cls.work, name) for name in ("prefix", "tree", "deb", "elsewhere"))
        os.mkdir(cls.elsewhere)
        call("cmake", "--install", BUILD, "--prefix", cls.prefix)
        call("cpack", "-G", "DEB", "--config", os.path.join(BUILD, "CPackConfig.cmake"), "-B", deb)
        (name,) = [name for name in os.listdir(deb) if name.endswith(".deb")]
        cls.deb = os.path.join(deb, name)
        call("dpkg-deb", "-x", cls.deb, cls.tree)
        cls.usr = os.path.join(cls.tree, "usr")
        cls.campaign = make_scene(os.path.join(cls.usr, "bin/glowworm"), cls.work, 600, 100, holdout=100,
                                  teacher_epochs=1, every="60")
        with open(cls.campaign) as file:
            text = file.read()
        with open(cls.campaign, "w") as file:
            file.write(text.replace(ROOT + "/", ""))

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.work)

    def glowworm(self, root, *arguments, **options):
        return call(os.path.join(root, "bin/glowworm"), *arguments, cwd=self.elsewhere, **options)

    def check_finds_its_data(self, root, **options):
        self.assertIn("670761", self.glowworm(root, "space", "count", "firefly-tiny", **options).stdout)
        self.glowworm(root, "space", "show", "configs/spaces/mbv3.yaml", **options)
        plan = self.glowworm(root, "plan", self.campaign, **options)  # its targets name the device firefly-dl-mono
        self.assertIn("compile-small", plan.stdout)

    def test_an_installation_and_an_unpacked_package_find_their_spaces_and_devices(self):
        for root in (self.prefix, self.usr):
            self.check_finds_its_data(root)

    def test_what_a_machine_beside_a_camera_needs_is_enough_by_itself(self):
        small = os.path.join(self.work, "small")
        call("cmake", "--install", BUILD, "--component", "camera", "--prefix", small)
        self.assertEqual(sorted(os.listdir(os.path.join(small, "bin"))), ["glowworm", "glowworm-camera-sim"])
        needed = call("ldd", os.path.join(small, "bin/glowworm")).stdout
        for library in ("libmpi", "libcuda", "libnccl", "libaravis"):
            self.assertNotIn(library, needed)
        bundle = os.path.join(self.work, "tiny")
        call(os.path.join(BUILD, "bin/write_bundle"), bundle, "firefly-dl-mono")
        said = self.glowworm(small, "validate", bundle, "--camera", "simulated", env={"HOME": self.work, "PATH": "/usr/bin"})
        self.assertIn("passes", said.stdout)

    def test_an_installation_works_where_it_was_moved_and_behind_a_link(self):
        moved, linked = (os.path.join(self.work, name) for name in ("moved", "linked"))
        shutil.copytree(self.prefix, moved)
        os.makedirs(os.path.join(linked, "bin"))
        os.symlink(os.path.join(moved, "bin/glowworm"), os.path.join(linked, "bin/glowworm"))
        self.check_finds_its_data(linked)

    def test_the_environment_names_other_data(self):
        data = os.path.join(self.work, "data-of-ours")
        shutil.copytree(os.path.join(ROOT, "configs"), os.path.join(data, "configs"))
        alone = os.path.join(self.work, "alone")
        os.makedirs(os.path.join(alone, "bin"))
        shutil.copy(os.path.join(self.prefix, "bin/glowworm"), os.path.join(alone, "bin"))
        self.check_finds_its_data(alone, env={**os.environ, "GLOWWORM_DATA": data})
        refused = self.glowworm(alone, "run", self.campaign, expect=UNAVAILABLE,
                                env={**os.environ, "GLOWWORM_DATA": data})
        self.assertIn("glowworm-worker is not there", refused.stderr)

    def test_an_installed_program_finds_device_modules_beside_it(self):
        header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 8, 8), }"
        with open(os.path.join(self.elsewhere, "image.npy"), "wb") as file:
            file.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(256))
        ask = ("evaluate", "nowhere", "--subnet", "r=8", "--input", "image.npy", "--output", "out.npy", "--device", "late")
        module = os.path.join(self.prefix, "lib/glowworm/glowworm-device-late.so")
        refused = self.glowworm(self.prefix, *ask, expect=UNAVAILABLE).stderr
        self.assertIn('there is no device "late"', refused)
        os.makedirs(os.path.dirname(module), exist_ok=True)
        shutil.copy(os.path.join(BUILD, "tests/devices/glowworm-device-late.so"), module)
        self.assertIn("nowhere", self.glowworm(self.prefix, *ask, expect=DATA).stderr)
        os.remove(module)

    def test_an_unpacked_package_runs_a_whole_campaign(self):
        folder = os.path.join(self.work, "run")
        self.glowworm(self.usr, "run", self.campaign, "--run-folder", folder)
        self.assertTrue(os.path.exists(os.path.join(folder, "bundles/small/bundle.json")))

    def test_the_package_depends_on_all_it_loads_and_starts(self):
        depends = call("dpkg-deb", "-f", self.deb, "Depends").stdout
        named = {re.split(r"[ (|]", package)[0] for package in depends.strip().split(", ")}
        self.assertIn("openmpi-bin", named)
        for program in ("glowworm", "glowworm-worker", "glowworm-scheduler", "glowworm-camera-sim"):
            path = os.path.join(self.usr, "bin", program)
            self.assertNotRegex(call("readelf", "-d", path).stdout, "RPATH|RUNPATH")
            needed = re.findall(r"NEEDED.*\[(.*)\]", call("readelf", "-d", path).stdout)
            at = dict(re.findall(r"(\S+) => (\S+)", call("ldd", path).stdout))
            for library in needed:
                file = os.path.realpath(at[library]).removeprefix("/usr")  # dpkg knows some as /lib, which is /usr/lib
                owner = call("dpkg", "-S", "*" + file).stdout.split(":")[0]
                self.assertIn(owner, named, library)

    def test_the_package_holds_licence_documentation_and_campaigns(self):
        listed = call("dpkg-deb", "-c", self.deb).stdout
        for path in ("doc/glowworm/copyright", "doc/glowworm/LICENSE", "doc/glowworm/NOTICE", "doc/glowworm/README.md",
                     "doc/glowworm/docs/campaigns.md", "glowworm/configs/quickstart.yaml", "man/man1/glowworm.1",
                     "man/man1/glowworm-worker.1", "man/man1/glowworm-scheduler.1", "man/man1/glowworm-camera-sim.1",
                     "bash-completion/completions/glowworm", "bash-completion/completions/glowworm-scheduler",
                     "bash-completion/completions/glowworm-camera-sim"):
            self.assertIn(f"./usr/share/{path}\n", listed)
        self.assertNotIn("_test", listed)

    def page(self, name, section):
        path = os.path.join(self.usr, f"share/man/man{section}", f"{name}.{section}")
        shown = call("man", "--warnings", "-l", path, cwd=os.path.join(self.usr, "share/man"),
                     env={**os.environ, "MANWIDTH": "400", "LC_ALL": "C.UTF-8"})
        self.assertEqual(shown.stderr, "")
        return re.sub(r"\s+", " ", shown.stdout)

    def test_the_manual_pages_say_what_the_help_says(self):
        page = self.page("glowworm", 1)
        helped = self.glowworm(self.usr, "--help").stdout
        commands = re.findall(r"^  (\S.*?)  +\S", helped, re.M)
        self.assertGreater(len(commands), 15)
        for command in commands:
            usage, what = self.glowworm(self.usr, *command.split(), "--help").stdout.strip().split("\n", 1)
            self.assertIn(usage.replace("usage: ", "").strip() + " " + what.strip(), page)
        self.assertIn(re.sub(r"\s+", " ", helped[helped.index("0 done"):]).strip(), page)
        self.assertEqual(self.page("glowworm-worker", 1), page)

    def test_the_pages_of_other_programs_have_every_option_and_fault(self):
        for program, least in ("glowworm-scheduler", 6), ("glowworm-camera-sim", 20):
            page = self.page(program, 1)
            helped = call(os.path.join(self.usr, "bin", program), "--help").stdout
            options = re.findall(r"^  (\S+(?: \S+)?)  +(\S.*)$", helped, re.M)
            self.assertGreater(len(options), least)
            for option, what in options:
                self.assertIn(f"{option} {what}", page)

    def test_the_campaign_page_has_every_knob(self):
        page = self.page("glowworm-campaign", 5)
        knobs = re.findall(r"^ *(?:- )?(\S+: .*)\n +(\S.*)$", self.glowworm(self.usr, "help", "campaign").stdout, re.M)
        self.assertGreater(len(knobs), 50)
        for knob, what in knobs:
            self.assertIn(re.sub(r"\s+", " ", f"{knob} {what}"), page)

    def completed(self, *words):
        script = os.path.join(self.usr, "share/bash-completion/completions/glowworm")
        ask = ('set -u; source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _glowworm\n'
               'complete -p glowworm >/dev/null; printf "%s\\n" ${COMPREPLY[@]+"${COMPREPLY[@]}"}')
        done = call("bash", "--norc", "-c", ask, "bash", script, *words)
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_bash_completes_commands_options_values_and_knobs(self):
        self.assertEqual(self.completed("glowworm", "pl"), ["plan"])
        self.assertEqual(self.completed("glowworm", "dataset", ""), ["import", "info", "verify", "check"])
        self.assertEqual(self.completed("glowworm", "dataset", "import", "a", "--fo"), ["--format", "--force"])
        self.assertEqual(self.completed("glowworm", "dataset", "import", "--format", ""), ["raw", "jpeg"])
        self.assertEqual(self.completed("glowworm", "run", "c.yaml", "--set", "teacher.ep"), ["teacher.epochs="])
        self.assertEqual(self.completed("glowworm", "run", "c.ya"), [])  # names of files are bash's own
        self.assertIn("--help", self.completed("glowworm", "evaluate", "--"))


if __name__ == "__main__":
    BUILD = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
