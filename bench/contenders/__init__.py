"""One folder for each contender; a folder with its own packages is no part of this project's environment."""
