"""What the judge looks at: functions of single showers."""
