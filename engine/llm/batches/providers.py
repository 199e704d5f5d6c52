"""Open the batch API of an account in the form of its provider."""

from engine.llm.batches.account import BatchAccount
from engine.llm.batches.anthropic_batches import AnthropicBatchProvider
from engine.llm.batches.openai_batches import OpenAIBatchProvider
from engine.llm.batches.provider import BatchProvider


def open_provider(account: BatchAccount, api_key: str | None) -> BatchProvider:
    """Open the account's ``BatchProvider``, for the caller to close. The first call imports litellm in seconds."""
    return (AnthropicBatchProvider if account.form == "anthropic" else OpenAIBatchProvider)(account, api_key)
