"""A built dataset on the Hub."""

from __future__ import annotations

from pathlib import Path


def push_dataset(folder: Path, repo_id: str, private: bool = False) -> str:
    """Upload shards, card and picture in one commit; returns the address."""
    from huggingface_hub import HfApi

    api = HfApi()
    repo_id = api.create_repo(repo_id, repo_type="dataset", private=private, exist_ok=True).repo_id
    api.upload_folder(
        folder_path=folder,
        repo_id=repo_id,
        repo_type="dataset",
        commit_message="Built with emocapclip-hf",
        ignore_patterns=[".*"],
        delete_patterns=["data/*.parquet"],  # shards of an earlier version; what is uploaded stays
    )
    return f"{api.endpoint}/datasets/{repo_id}"
