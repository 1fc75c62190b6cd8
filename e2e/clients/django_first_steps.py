"""Django: makemigrations, migrate, the ORM, and the test runner, which creates a database of its
own and drops it."""

import os
import pathlib
import subprocess
import sys
import tempfile

FILES = {
    "manage.py": """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
""",
    "settings.py": """
import connection
SECRET_KEY = "only for this test"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "shop"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": connection.NAME,
        "USER": connection.USER,
        "PASSWORD": connection.PASSWORD,
        "HOST": connection.HOST,
        "PORT": connection.PORT,
        "OPTIONS": {"sslmode": connection.SSL_MODE},
    }
}
""",
    "shop/__init__.py": "",
    "shop/models.py": """
from django.db import models

class Product(models.Model):
    name = models.CharField(max_length=100, unique=True)
    price = models.DecimalField(max_digits=10, decimal_places=2)
    tags = models.JSONField(default=list)
""",
    "shop/tests.py": """
from decimal import Decimal
from django.db import IntegrityError, connection, transaction
from django.test import TestCase, TransactionTestCase
from shop.models import Product

class OrmTest(TestCase):
    def test_rows_come_back_as_they_went(self):
        Product.objects.bulk_create(Product(name=f"p{n}", price=Decimal(n), tags=[n]) for n in range(500))
        self.assertEqual(Product.objects.filter(price__gte=250).count(), 250)
        self.assertEqual(Product.objects.get(name="p7").tags, [7])
        with self.assertRaises(IntegrityError), transaction.atomic():
            Product.objects.create(name="p7", price=1)

    def test_server_side_cursors(self):
        Product.objects.bulk_create(Product(name=f"p{n}", price=n) for n in range(1000))
        self.assertEqual(sum(1 for _ in Product.objects.iterator(chunk_size=100)), 1000)

class OwnDatabaseTest(TransactionTestCase):
    def test_the_tests_have_a_database_of_their_own(self):
        with connection.cursor() as cursor:
            cursor.execute("select current_database()")
            self.assertTrue(cursor.fetchone()[0].startswith("test_"))
""",
}


def manage(folder: pathlib.Path, *arguments: str) -> str:
    here = str(pathlib.Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": here},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for path, text in FILES.items():
            file = folder / path
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        manage(folder, "makemigrations", "shop")
        manage(folder, "migrate", "--noinput")
        report = manage(folder, "test", "--noinput", "--verbosity", "1")
        assert "Ran 3 tests" in report and "OK" in report, report
        report = manage(folder, "inspectdb")
        assert "class ShopProduct" in report, report
        manage(folder, "migrate", "shop", "zero")


if __name__ == "__main__":
    main()
