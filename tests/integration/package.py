#!/usr/bin/env python3
"""What cpack and cmake --install make."""

import os
import shutil
import subprocess

from mfdtest import env, runner, service

BUILD = os.path.dirname(os.path.abspath(env.daemon()))


class Package(runner.TestCase):
    def test_lintian_finds_no_error_in_the_package(self):
        for program in ("cpack", "dpkg-shlibdeps", "lintian"):
            env.need(shutil.which(program), "no " + program)
        package = service.build_package(self.path("package"))
        found = subprocess.run(["lintian", "--allow-root", "--fail-on", "error", package],
                               capture_output=True, text=True, check=False)
        self.assertEqual(found.returncode, 0, found.stdout + found.stderr)

    def test_an_installation_elsewhere_names_its_own_prefix(self):
        prefix = self.path("prefix")
        subprocess.run(["cmake", "--install", BUILD, "--prefix", prefix], check=True,
                       capture_output=True)
        with open(os.path.join(prefix, "lib/systemd/system/multifdd@.service"),
                  encoding="utf-8") as file:
            unit = file.read()
        self.assertIn("ExecStart=%s/bin/multifdd " % prefix, unit)
        self.assertIn("EnvironmentFile=%s/etc/multifdd/%%i.env\n" % prefix, unit)
        self.assertTrue(os.path.exists(os.path.join(prefix, "etc/multifdd/demo.env")))

    def test_manual_pages_have_no_fault(self):
        env.need(shutil.which("mandoc"), "no mandoc")
        pages = [os.path.join(BUILD, "systemd", page) for page in ("multifdd.8", "multifdctl.1")]
        found = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *pages],
                               capture_output=True, text=True, check=False)
        self.assertEqual(found.returncode, 0, found.stdout + found.stderr)


if __name__ == "__main__":
    runner.main()
