"""From settings to services: what the server, the workers and the commands all stand on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass

from gifty.catalog.candidate_repository import CandidateRepository
from gifty.catalog.candidates import CandidateService
from gifty.catalog.embedding_repository import EmbeddingRepository
from gifty.catalog.embedding_service import EmbeddingService
from gifty.catalog.embeddings.choice import open_embedder
from gifty.catalog.embeddings.concepts import OntologyConcepts
from gifty.catalog.embeddings.local import LocalEmbedder
from gifty.catalog.embeddings.protocol import Embedder
from gifty.catalog.fetching import Fetcher
from gifty.catalog.gifts import GiftService
from gifty.catalog.gifts_repository import GiftsRepository
from gifty.catalog.importing import FeedImporter
from gifty.catalog.ingestion import IngestionService
from gifty.catalog.ingestion_repository import IngestionRepository
from gifty.catalog.profile_repository import ProfileRepository
from gifty.catalog.profiles import ProfileService
from gifty.catalog.promotions import PromotionService
from gifty.catalog.promotions_repository import PromotionRepository
from gifty.catalog.query import QueryReader
from gifty.catalog.search import SearchService
from gifty.catalog.search_reasons import Explainer
from gifty.catalog.search_repository import SEARCH_SETTINGS, SearchRepository
from gifty.catalog.starter import StarterCatalogue
from gifty.core.clock import Clock, SystemClock
from gifty.core.database import Database
from gifty.core.lifecycle import Lifecycle
from gifty.core.migrations import migrate
from gifty.discovery.knowledge import load_knowledge
from gifty.discovery.repository import QuizRunRepository
from gifty.discovery.runs import RunRecorder
from gifty.discovery.service import RecommendationService
from gifty.ontology.loader import Ontology, load_ontology
from gifty.operations.service import DeadLetters
from gifty.scoring.rules import RulesScorer
from gifty.scoring.service import ScoringService
from gifty.settings import Settings
from gifty.storage import database_address


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that does something, built once."""

    clock: Clock
    database: Database
    ontology: Ontology
    ingestion: IngestionService
    importer: FeedImporter
    embedding: EmbeddingService
    search: SearchService
    gifts: GiftService
    scoring: ScoringService
    recommendations: RecommendationService
    dead_letters: DeadLetters


async def start_services(settings: Settings, life: Lifecycle) -> Services:
    """Starts what the services stand on, and builds them."""
    clock = SystemClock()
    dsn = await life.start("PostgreSQL" if settings.database_url else "embedded PostgreSQL", database_address(settings))
    await life.start("schema", _migrated(dsn))
    database = await life.start("database pool", _pool(dsn))
    ontology = await life.start("ontology", _ontology(settings))
    concepts = OntologyConcepts(ontology)
    local = LocalEmbedder(ontology.language, concepts)
    embedder = await life.start("embedder", _embedder(settings, local))
    runs = await life.start("quiz log", RunRecorder(QuizRunRepository(database)))

    imports = IngestionRepository(database)
    ingestion = IngestionService(imports)
    promotions = PromotionService(PromotionRepository(database), imports, clock)
    embedding = EmbeddingService(EmbeddingRepository(database), embedder, clock, others=(local,))
    scoring = ScoringService(ProfileService(ProfileRepository(database)), RulesScorer(ontology))
    starter = StarterCatalogue(ingestion)
    search = await life.start(
        "search",
        aclosing(
            SearchService(
                SearchRepository(database),
                embedding,
                QueryReader(ontology.language),
                Explainer(ontology.language, concepts),
                clock,
                promotions=promotions,
            )
        ),
    )
    await life.start("gift ideas", _ideas(starter, scoring, embedding))
    return Services(
        clock=clock,
        database=database,
        ontology=ontology,
        ingestion=ingestion,
        importer=FeedImporter(ingestion, promotions, imports, Fetcher(allow_private=settings.crawl_allow_private)),
        embedding=embedding,
        search=search,
        gifts=GiftService(GiftsRepository(database), embedding, promotions=promotions),
        scoring=scoring,
        recommendations=RecommendationService(
            ontology=ontology,
            knowledge=load_knowledge(ontology),
            candidates=CandidateService(CandidateRepository(database)),
            finder=search,
            promotions=promotions,
            runs=runs,
        ),
        dead_letters=DeadLetters(database),
    )


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """The services for one command, started and stopped in silence."""
    async with Lifecycle(lambda _line: None) as life:
        yield await start_services(settings, life)


def _embedder(settings: Settings, local: LocalEmbedder) -> AbstractAsyncContextManager[Embedder]:
    return open_embedder(
        settings.embedder,
        local,
        model=settings.embedder_model,
        base_url=settings.embedder_base_url,
        api_key=settings.embedder_api_key,
    )


@asynccontextmanager
async def _ideas(
    starter: StarterCatalogue, scoring: ScoringService, embedding: EmbeddingService
) -> AsyncIterator[None]:
    """Brings the shipped ideas in, and reads them at once when they are new."""
    counts = (await starter.load()).run.counts
    if counts.created or counts.changed:
        await scoring.score_all()
        await embedding.catch_up()
    yield


@asynccontextmanager
async def _migrated(dsn: str) -> AsyncIterator[list[str]]:
    yield await migrate(dsn)


@asynccontextmanager
async def _pool(dsn: str) -> AsyncIterator[Database]:
    database = await Database.open(dsn, server_settings=SEARCH_SETTINGS)
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def _ontology(settings: Settings) -> AsyncIterator[Ontology]:
    yield await asyncio.to_thread(load_ontology, cache=settings.home / "cache")
