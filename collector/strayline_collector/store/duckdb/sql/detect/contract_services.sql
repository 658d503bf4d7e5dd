SELECT DISTINCT service FROM processes;
