"""What runs jobs: broker, actors, scheduler, delivery of events."""
