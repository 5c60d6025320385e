"""The build type of bottles that a tap's CI builds in one job and attests in another."""
