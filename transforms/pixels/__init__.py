"""From pictures to coded samples: reading, placing, compositing, coding. Arrays in and out."""
