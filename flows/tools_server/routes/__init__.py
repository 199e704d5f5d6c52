"""Operations that only the tools have; they stand beside the door's routes in an application of this process."""
